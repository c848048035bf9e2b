/**
 * Makes the owner's app's service worker: the list of the app's files with their digests, which it
 * keeps so that the app opens without a network, and the version that an owner is told of.
 *
 * The list stands in the worker's main file and not in a module of its own: Chromium (156) can't
 * update a worker of which only a module has changed, if two others import a third one.
 */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const KEPT = /\.(js|mjs|css|html|json|bin|svg|png|webmanifest)$/;
const MADE = "sw.js";
/** The browser keeps the worker's own files by itself. */
const WORKERS_OWN = /^worker\//;

/** Lists and writes. @param {string} app the folder */
export function writeWorker(app) {
  writeFileSync(join(app, MADE), workerModule(app));
}

/** @param {string} app the folder @returns {string} a module */
export function workerModule(app) {
  const all = readdirSync(app, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && KEPT.test(entry.name))
    .map((entry) => relative(app, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((name) => name !== MADE)
    .sort()
    .map((name) => /** @type {const} */ ([name, digestOf(readFileSync(join(app, name)))]));
  // Over every file but this one, which says no more: the whole app's.
  const version = digestOf(Buffer.from(JSON.stringify(all))).slice(0, 16);
  const files = Object.fromEntries(all.filter(([name]) => !WORKERS_OWN.test(name)));
  return `/** Made by \`npm run vendor\` (relay/web/service_worker.mjs): the app's version, and the SHA-256 of each file that is kept. */
import { listen } from "./worker/main.js";

listen(${JSON.stringify({ version, files }, null, 2)});
`;
}

/** @param {Uint8Array} data */
function digestOf(data) {
  return createHash("sha256").update(data).digest("hex");
}
