/**
 * An export under way: what isn't there yet is fetched one by one, checked, and written. It can be
 * paused, and goes on after a reload or a break where it was. No page here.
 * @module
 */
import { ClipError } from "./clip_error.js";
import { Progress, pathsOf } from "./export_files.js";

/** @typedef {import("./export_files.js").ExportList} ExportList */
/** @typedef {import("./export_files.js").LeftOut} LeftOut */
/** @typedef {import("./export_folder.js").NewFile} NewFile */
/** @typedef {import("./vendor/protocol/exports.js").ExportIndex} ExportIndex */
/** @typedef {import("./vendor/protocol/exports.js").ExportedClip} ExportedClip */
/**
 * What is exported, of one doorbell.
 * @typedef {object} Source
 * @property {string} name the doorbell's
 * @property {() => Promise<{text: string, index: ExportIndex}>} index signed, and checked
 * @property {(clip: ExportedClip, onShare: (share: number) => void) => Promise<{blob: Blob, signed: object}>} clip checked
 * @property {() => Promise<NewFile[]>} more what the app itself knows
 * @property {(list: ExportList) => string} readable
 * @property {() => Promise<void>} finish
 */
/**
 * Where it is written.
 * @typedef {object} Target
 * @property {() => Promise<void>} open
 * @property {(path: string) => Promise<boolean>} has
 * @property {(files: NewFile[], list: () => ExportList) => Promise<void>} put
 * @property {() => Promise<void>} settle looks at what else lies there
 * @property {() => import("./export_files.js").FileEntry[]} files
 * @property {(list: ExportList) => Promise<void>} save
 * @property {(list: ExportList, readable: string) => Promise<void>} finish
 */
/** @typedef {ReturnType<Progress["now"]>} Standing */

/** Somebody paused it, or left the page. */
export class Paused extends Error {
  constructor() {
    super("paused");
    this.name = "Paused";
  }
}

/**
 * Fetches and writes everything that isn't there yet; returns the list. Throws Paused, and whatever
 * ended it: then what was written stays, and another run goes on.
 * @param {Source} source @param {Target} target
 * @param {{onProgress: (now: Standing) => void, signal: AbortSignal, nowMs?: () => number}} how `nowMs` monotonic
 * @returns {Promise<ExportList>}
 */
export async function runExport(source, target, { onProgress, signal, nowMs = () => performance.now() }) {
  await target.open();
  const { text, index } = await source.index();
  /** @type {LeftOut[]} */
  const leftOut = [];
  const list = (isComplete = false) => ({
    device: index.device,
    name: source.name,
    identity_key: index.identity_key,
    export_digest: index.export_digest,
    made_ms: index.made_ms,
    files: target.files(),
    left_out: leftOut,
    is_complete: isComplete,
  });
  const progress = new Progress({ count: index.clips.length, bytes: index.clips.reduce((sum, { size_bytes }) => sum + size_bytes, 0) }, nowMs);
  onProgress(progress.now());
  try {
    for (const clip of index.clips) {
      if (signal.aborted) throw new Paused();
      const paths = pathsOf(clip);
      const isHere = (await target.has(paths.video)) && (await target.has(paths.manifest));
      if (!isHere) {
        const share = (/** @type {number} */ part) => onProgress(progress.now(part, clip.size_bytes));
        const left = await fetchInto(source, target, clip, paths, share, list);
        if (signal.aborted) throw new Paused();
        if (left !== null) leftOut.push(left);
      }
      progress.add(clip.size_bytes, { isFetched: !isHere });
      onProgress(progress.now());
    }
    await target.put([{ path: "doorbell.json", blob: new Blob([text]) }, ...(await source.more())], list);
    await target.settle();
  } catch (error) {
    await target.save(list()).catch((problem) => console.warn("the export's list", problem));
    throw signal.aborted ? new Paused() : error;
  }
  const all = list(true);
  await target.finish(all, source.readable(all));
  await source.finish();
  return all;
}

/** @param {Source} source @param {Target} target @param {ExportedClip} clip @param {{video: string, manifest: string}} paths @param {(share: number) => void} onShare @param {() => ExportList} list @returns {Promise<LeftOut | null>} */
async function fetchInto(source, target, clip, paths, onShare, list) {
  try {
    const { blob, signed } = await source.clip(clip, onShare);
    const manifest = new Blob([`${JSON.stringify(signed)}\n`]);
    await target.put([{ path: paths.video, blob }, { path: paths.manifest, blob: manifest }], list);
    return null;
  } catch (error) {
    // Retention or an owner removed it meanwhile, or it isn't what was signed: neither is written.
    if (error instanceof ClipError && (error.reason === "gone" || error.reason === "different")) return { clip_id: clip.clip_id, why: error.reason };
    throw error;
  }
}
