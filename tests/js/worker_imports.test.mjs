/** The service worker's modules: none imports another later, which a worker may not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const APP = new URL("../../relay/owner_app/", import.meta.url);
const SEALING = "vendor/protocol/sealing.js";

/** Every module that the worker imports, by its path in the app. */
function modulesOf(/** @type {string} */ entry) {
  const found = new Map();
  const left = [new URL(entry, APP)];
  for (let url = left.pop(); url !== undefined; url = left.pop()) {
    if (found.has(url.href)) continue;
    const text = readFileSync(url, "utf8").replaceAll(/\/\*.*?\*\//gs, "");
    found.set(url.href, text);
    for (const [, path] of text.matchAll(/^(?:import|export)[^;]*?from "(\.[^"]+)";/gm)) left.push(new URL(path, url));
  }
  return new Map([...found].map(([href, text]) => [href.slice(APP.href.length), text]));
}

test("nothing of the worker is imported while it runs", () => {
  const modules = modulesOf("worker/main.js");
  assert.ok(modules.has("worker/pushed.js") && modules.has(SEALING) && modules.size > 20);
  const later = [...modules].filter(([, text]) => /[^.\w]import\(/.test(text)).map(([path]) => path);
  assert.deepEqual(later, [SEALING], "only what the worker hands over before it is needed");
  assert.match(modules.get("worker/main.js"), /useHpke\(hpke\)/);
});
