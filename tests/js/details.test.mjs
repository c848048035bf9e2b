/**
 * What the checks of evidence say: each text stands in the code in English, whole, and in
 * relay/web/saved/details.sv.json in Swedish. Found are all that the saved page can say.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const SAVED = new URL("../../relay/web/saved/", import.meta.url);
const ENTRY = "page.js";
const SAYS = /\b(must|require|mustStand|new WireError|new NotCheckable|new NotShown)\(/g;
const STRING = /^"((?:[^"\\]|\\.)*)"$/;

/** The modules that a page loads, with what they say. */
function modules(names, base = SAVED, done = new Map()) {
  for (const name of names) {
    const url = new URL(name, base);
    if (done.has(url.href)) continue;
    const source = readFileSync(url, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    done.set(url.href, source);
    modules([...source.matchAll(/from "([^"]+)";/g)].map(([, from]) => from), url, done);
  }
  return done;
}

/** The arguments of the call whose brackets open at `from`, as they are written. */
function argumentsAt(source, from) {
  const parts = [""];
  let depth = 0;
  for (let at = from; ; at += 1) {
    const [quoted] = /^("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/(?=[a-z]*\.test))/.exec(source.slice(at)) ?? [];
    if (quoted !== undefined) {
      parts.push(parts.pop() + quoted);
      at += quoted.length - 1;
      continue;
    }
    const sign = source[at];
    if ("([{".includes(sign)) depth += 1;
    if (")]}".includes(sign)) depth -= 1;
    if (depth === 0) return parts.map((part) => part.slice(0, 1) === "(" ? part.slice(1).trim() : part.trim());
    if (sign === "," && depth === 1) parts.push("");
    else parts.push(parts.pop() + sign);
  }
}

/** Every text that can be said, and in which module it is. */
function said() {
  const found = new Map();
  for (const [href, source] of modules([ENTRY])) {
    const name = href.slice(SAVED.href.length);
    const calls = [...source.matchAll(SAYS)].filter(({ index }) => !/function \w*$/.test(source.slice(0, index)) && !/function $/.test(source.slice(0, index)));
    for (const { index, 0: call } of calls) {
      const given = argumentsAt(source, index + call.length - 1).filter(Boolean);
      const [text] = given.filter((part) => STRING.test(part) || part.startsWith("`")).slice(-1);
      const isPassedOn = given.some((part) => part === "otherwise" || /^t\(/.test(part) || part === "template");
      assert.ok(isPassedOn || text !== undefined, `${name}: what does this say? ${given}`);
      if (isPassedOn) continue;
      assert.ok(!text.startsWith("`"), `${name}: write {name} and its value, not ${text}`);
      found.set(JSON.parse(text), name);
    }
    for (const [, text] of source.matchAll(/template: ("(?:[^"\\]|\\.)*")/g)) found.set(JSON.parse(text), name);
  }
  return found;
}

const placeholders = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
const texts = JSON.parse(readFileSync(new URL("texts.json", SAVED), "utf8"));
const swedish = JSON.parse(readFileSync(new URL("details.sv.json", SAVED), "utf8"));

test("everything that a check can say is there in Swedish", () => {
  const all = said();
  assert.ok(all.size > 100, "the search finds too few");
  const missing = [...all].filter(([text]) => !(text in swedish));
  assert.deepEqual(missing, []);
});

test("nothing is there in Swedish that no check says", () => {
  const all = said();
  assert.deepEqual(Object.keys(swedish).filter((text) => !all.has(text)), []);
});

test("both languages fill in the same", () => {
  for (const [english, text] of Object.entries(swedish)) {
    assert.deepEqual(placeholders(text), placeholders(english), english);
    assert.notEqual(text, english);
  }
});

test("the page's own texts are there in both languages, with the same gaps, and all that it names", () => {
  assert.deepEqual(Object.keys(texts.sv), Object.keys(texts.en));
  for (const [key, text] of Object.entries(texts.en)) assert.deepEqual(placeholders(texts.sv[key]), placeholders(text), key);
  const page = ["page.js", "page.html"].map((name) => readFileSync(new URL(name, SAVED), "utf8")).join("\n");
  const named = [...page.matchAll(/(?:\bt\(|data-text=|[[ ])"(saved\.\w+)"/g)].map(([, key]) => key);
  assert.deepEqual(Object.keys(texts.en).filter((key) => key.startsWith("saved.") && !page.includes(`"${key}"`)), []);
  assert.deepEqual(named.filter((key) => !(key in texts.en)), []);
});
