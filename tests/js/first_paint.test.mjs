/**
 * What the owner's app fetches before its first page stands: few bytes, all the words that it says
 * there, and nothing that the service worker doesn't keep.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { workerModule } from "../../relay/web/service_worker.mjs";

const app = fileURLToPath(new URL("../../relay/owner_app/", import.meta.url));
const MOST_BYTES = 100_000;
const STATIC = /^(?:import|export)\s[^;]*?from\s*"(\.[^"]+)"/gm;
const LAZY = /\bimport\("(\.[^"]+)"\)/g;
/** Asked for with hasText, after a session or a clip was tried. */
const TRIED_ELSEWHERE = "live.refused.";

const read = (name) => readFileSync(join(app, name), "utf8");
const named = (name, how) => [...read(name).matchAll(how)].map(([, path]) => normalize(join(dirname(name), path)));

/** These modules and all that they import. */
function graph(names, ...how) {
  const found = new Set(names);
  for (const name of found) for (const way of how) for (const next of named(name, way)) found.add(next);
  return [...found];
}

const FIRST_PAGES = { "the sign-in page": "views/welcome.js", "the door": "views/door.js" };

for (const [page, view] of Object.entries(FIRST_PAGES)) {
  test(`${page} weighs less than 100 kB with its words`, () => {
    const styles = [...read("index.html").matchAll(/rel="stylesheet" href="\.\/([^"]+)"/g)].map(([, name]) => name);
    assert.equal(styles.length, 2);
    const files = ["index.html", ...styles, ...graph(["start.js", "app.js", view], STATIC)];
    for (const language of ["en", "sv"]) {
      const sizes = [...files, `locales/${language}.json`].map((name) => gzipSync(read(name)).length);
      const weight = sizes.reduce((sum, size) => sum + size, 0);
      assert.ok(weight > 40_000, "too few files were found");
      assert.ok(weight <= MOST_BYTES, `${language}: ${weight} bytes`);
    }
  });
}

test("what the first pages say is among the first words", () => {
  const files = graph(["app.js", ...Object.values(FIRST_PAGES)], STATIC).filter((name) => !name.startsWith("vendor"));
  const [first, more] = [JSON.parse(read("locales/en.json")), JSON.parse(read("locales/en.more.json"))];
  assert.deepEqual(Object.keys(first).filter((key) => key in more), []);
  const code = files.map(read).join("\n");
  const quoted = new Set([...code.matchAll(/"([a-z0-9_.]+)"/g)].map(([, key]) => key));
  const begun = [...code.matchAll(/`([a-z_]+\.[a-z0-9_.]*)\$\{/g)].map(([, begin]) => begin).filter((begin) => begin !== TRIED_ELSEWHERE);
  const isSaid = (key) => quoted.has(key) || quoted.has(key.replace(/\.(one|other)$/, "")) || begun.some((begin) => key.startsWith(begin));
  assert.deepEqual(Object.keys(more).filter(isSaid), []);
});

test("every page's code is kept by the service worker, whenever it is fetched", () => {
  const files = graph(["start.js"], STATIC, LAZY);
  assert.ok(files.includes("views/sessions.js") && files.includes("push.js"));
  const kept = JSON.parse(workerModule(app).match(/listen\((.*)\);/s)[1]).files;
  for (const name of files) {
    assert.ok(existsSync(join(app, name)), name);
    assert.match(kept[name] ?? "", /^[0-9a-f]{64}$/, name);
  }
  for (const name of ["en", "sv", "en.more", "sv.more"]) assert.ok(kept[`locales/${name}.json`], name);
});
