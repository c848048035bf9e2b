/**
 * Makes the page that an agency saves: one HTML file that checks evidence without a network.
 *
 * Its modules are put behind each other, each in a function of its own, so that the page's policy
 * can name the one script by its digest and allow nothing else, no connection either. The same
 * sources give the same bytes.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const web = dirname(fileURLToPath(import.meta.url));
const ENTRY = join(web, "saved/page.js");
const IMPORT = /^import (?:\{([^}]*)\}|\* as (\w+)) from "([^"]+)";\n/gms;
const LATER = /\bimport\("(\.[^"]+)"\)/g;
const EXPORT = /^export (?:async )?(?:function\*?|class|const) (\w+)/gm;
const EXPORTS = /^export \{ ?([\w, ]*?) ?\};?$/gm;

/** @param {string} target where the page goes */
export function writeSavedPage(target) {
  const read = (/** @type {string} */ name) => readFileSync(join(web, "saved", name), "utf8");
  const style = readFileSync(join(web, "static/style.css"), "utf8") + read("page.css");
  const script = bundle(ENTRY).replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  // What the checks say stands in the modules in English, and in details.sv.json in Swedish.
  const words = { ...JSON.parse(read("texts.json")), "details.sv": JSON.parse(read("details.sv.json")) };
  const texts = JSON.stringify(words).replaceAll("<", "\\u003c");
  const policy = [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    "img-src data:",
    "media-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  /** @type {Record<string, string>} */
  const parts = { policy, style, script, texts };
  writeFileSync(target, read("page.html").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]));
}

/** @param {string} text */
function digest(text) {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** @param {string} entry @returns {string} one script */
function bundle(entry) {
  /** @type {Map<string, string>} */
  const done = new Map();
  const parts = modulesOf(entry, done);
  return parts.join("\n");
}

/**
 * Returns a module's dependencies and then itself, each once, as `const name = (() => …)();`.
 * @param {string} path @param {Map<string, string>} done
 * @returns {string[]}
 */
function modulesOf(path, done) {
  if (done.has(path)) return [];
  done.set(path, `m${done.size}`);
  const source = readFileSync(path, "utf8");
  const parts = [...source.matchAll(IMPORT)].flatMap(([, , , from]) => modulesOf(resolve(path, from), done));
  for (const [, from] of source.matchAll(LATER)) parts.push(...modulesOf(resolve(path, from), done));
  const here = source.replace(LATER, (_, from) => `Promise.resolve(${done.get(resolve(path, from))})`);
  const body = here.replace(IMPORT, (_, names, all, from) => {
    const module = done.get(resolve(path, from));
    return all ? `const ${all} = ${module};\n` : `const {${names.replaceAll(" as ", ": ")}} = ${module};\n`;
  });
  const exported = [...body.matchAll(EXPORT)].map(([, name]) => name);
  for (const [, names] of body.matchAll(EXPORTS)) exported.push(...names.split(", ").filter(Boolean));
  const plain = body.replace(EXPORTS, "").replace(/^export (?=(?:async )?(?:function\*?|class|const) )/gm, "");
  if (/^(import|export)\b/m.test(plain)) throw new Error(`${path} imports or exports in a way that isn't known here`);
  return [...parts, `const ${done.get(path)} = (() => {\n${plain}\nreturn { ${exported.join(", ")} };\n})();`];
}

/** @param {string} path @param {string} from */
function resolve(path, from) {
  return normalize(join(dirname(path), from));
}
