/**
 * The texts of the owner's app: both languages say all, and nothing is asked for that they lack.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

const app = new URL("../../relay/owner_app/", import.meta.url);
const read = (name) => readFileSync(new URL(name, app), "utf8");
const first = { en: JSON.parse(read("locales/en.json")), sv: JSON.parse(read("locales/sv.json")) };
const more = { en: JSON.parse(read("locales/en.more.json")), sv: JSON.parse(read("locales/sv.more.json")) };
const catalogs = { en: { ...first.en, ...more.en }, sv: { ...first.sv, ...more.sv } };
const modules = ["", "components/", "views/", "worker/"].flatMap((folder) =>
  readdirSync(new URL(`./${folder}`, app))
    .filter((name) => name.endsWith(".js"))
    .map((name) => folder + name),
);

test("both languages have the same texts with the same gaps to fill", () => {
  const gaps = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  assert.deepEqual(Object.keys(catalogs.sv).sort(), Object.keys(catalogs.en).sort());
  for (const [key, text] of Object.entries(catalogs.en)) {
    assert.deepEqual(gaps(catalogs.sv[key]), gaps(text), key);
  }
});

test("every text that a page names is in the catalog", () => {
  for (const name of modules) {
    for (const [, key] of read(name).matchAll(/\bt\("([a-z0-9_.]+)"/g)) {
      assert.ok(key in catalogs.en, `${name}: ${key}`);
    }
  }
});

/** The keys that a template such as `live.why.${why}` can make: any one word in a gap, or what is in quotes there. */
function keysOf(template) {
  const gap = (_, inside) => `(${[...inside.matchAll(/"([^"]*)"/g)].map(([, quoted]) => quoted).join("|")}|[a-z0-9_]+)`;
  return new RegExp(`^${template.replaceAll(/\$\{([^}]*)\}/g, gap).replaceAll(".", "\\.")}$`);
}

test("every text in the catalog is named by a page", () => {
  const code = [...modules, "../web/static/js/protocol/letter.js"].map(read).join("\n");
  const named = new Set([...code.matchAll(/"([a-z0-9_.]+)"/g)].map(([, key]) => key));
  const made = [...code.matchAll(/`([a-z_]+\.[^`\s]*\$\{[^`]*?\}[^`\s]*)`/g)].map(([, template]) => keysOf(template));
  const isNamed = (key) => named.has(key) || named.has(key.replace(/\.(one|other)$/, "")) || made.some((keys) => keys.test(key));
  assert.deepEqual(Object.keys(catalogs.en).filter((key) => !isNamed(key)), []);
});

/** The values of a `Literal` in the doorbell's own protocol. */
function literal(name) {
  const source = readFileSync(new URL("../../firmware/protocol/events.py", import.meta.url), "utf8");
  const [, inside] = source.match(new RegExp(`^${name} = Literal\\[([^\\]]*)\\]`, "m"));
  return [...inside.replaceAll(/#.*/g, "").matchAll(/"(\w+)"/g)].map(([, value]) => value);
}

test("every state of the camera and every trouble that a doorbell can tell has words", () => {
  const states = literal("CameraState");
  const codes = literal("TroubleCode");
  assert.ok(states.includes("unsupported") && codes.includes("clock_unknown"));
  const keys = [
    ...states.flatMap((state) => [`camera.${state}`, `health.camera.${state}`]),
    ...codes.flatMap((code) => ["", ".over", ".help"].map((end) => `trouble.${code}${end}`)),
  ];
  for (const key of keys) assert.ok(key in catalogs.en, key);
});

test("the page holds no inline script or style, which its policy would refuse", () => {
  assert.doesNotMatch(read("index.html"), /<style|style=|<script(?![^>]*src=)/);
});
