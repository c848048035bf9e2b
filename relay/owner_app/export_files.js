/**
 * The files of an export: their names, the list of them with digests, and how far it has come. Pure.
 * @module
 */

/** @typedef {{path: string, size: number, sha256: string}} FileEntry */
/** @typedef {{clip_id: string, why: "gone" | "different"}} LeftOut a recording that isn't among the files */
/** @typedef {{device: string, name: string, identity_key: string, export_digest: string, made_ms: number, files: FileEntry[], left_out: LeftOut[], is_complete: boolean}} ExportList */
/** @typedef {import("./vendor/protocol/exports.js").ExportedClip} ExportedClip */

export const LIST = "index.json";
export const SUMS = "SHA256SUMS";
export const READABLE = "index.txt";
const PATH = /^[a-z0-9][\w.-]*(\/[a-z0-9][\w.-]*)?$/i;
const DIGEST = /^[0-9a-f]{64}$/;

/** The paths of a recording and of what the doorbell signed about it. @param {ExportedClip} clip */
export function pathsOf({ clip_id, started_ms }) {
  const moment = new Date(started_ms).toISOString().slice(0, 19).replace("T", "_").replaceAll(":", "");
  const base = `clips/${moment}Z_${clip_id}`;
  return { video: `${base}.mp4`, manifest: `${base}.json` };
}

/**
 * Returns the list that an earlier visit left, or null if it isn't one of this doorbell.
 * @param {string} text @param {string} device @returns {FileEntry[] | null}
 */
export function parseList(text, device) {
  try {
    const list = JSON.parse(text);
    /** @type {FileEntry[]} */
    const files = list?.files;
    const isOne = list?.v === 1 && list.device === device && Array.isArray(files) && files.every(isEntry);
    return isOne ? files.map(({ path, size, sha256 }) => ({ path, size, sha256 })) : null;
  } catch {
    return null;
  }
}

/** @param {any} entry */
function isEntry(entry) {
  return typeof entry?.path === "string" && PATH.test(entry.path) && Number.isSafeInteger(entry.size) && entry.size >= 0 && DIGEST.test(entry.sha256);
}

/** The machine's list. @param {ExportList} list */
export function listText(list) {
  return `${JSON.stringify({ v: 1, ...list, files: inOrder(list.files) }, null, 1)}\n`;
}

/** What `sha256sum -c` reads. @param {ExportList} list */
export function sumsText({ files }) {
  return inOrder(files).map(({ path, sha256 }) => `${sha256}  ${path}\n`).join("");
}

/**
 * What people read. @param {ExportList} list
 * @param {{title: string, made: string, how: string[], left: (one: LeftOut) => string, bytes: (size: number) => string}} words
 */
export function readableText({ files, left_out }, { title, made, how, left, bytes }) {
  const rows = inOrder(files).map(({ path, size }) => `${path}  (${bytes(size)})`);
  return [title, made, "", ...how, "", ...rows, ...(left_out.length > 0 ? ["", ...left_out.map(left)] : []), ""].join("\n");
}

/** @param {FileEntry[]} files */
function inOrder(files) {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** How far an export has come, and how long the rest takes by what came since it went on. */
export class Progress {
  /** @param {{count: number, bytes: number}} all @param {() => number} nowMs monotonic */
  constructor(all, nowMs) {
    this.all = all;
    this.nowMs = nowMs;
    this.count = 0;
    this.bytes = 0;
    this.fetched = 0;
    this.beganMs = nowMs();
  }

  /** @param {number} bytes of a recording by its size on the card @param {{isFetched: boolean}} how */
  add(bytes, { isFetched }) {
    this.count += 1;
    this.bytes += bytes;
    if (isFetched) this.fetched += bytes;
    else this.beganMs = this.nowMs(); // what lay there says nothing of the line
  }

  /** @param {number} [share] of the one that is on its way @param {number} [size] its own */
  now(share = 0, size = 0) {
    const under = Math.round(share * size);
    const fetched = this.fetched + under;
    const rest = Math.max(0, this.all.bytes - this.bytes - under);
    const tookMs = this.nowMs() - this.beganMs;
    const leftMs = fetched > 0 && tookMs > 0 ? Math.round((rest * tookMs) / fetched) : null;
    return { count: this.count, of: this.all.count, bytes: this.bytes + under, ofBytes: this.all.bytes, leftMs };
  }
}
