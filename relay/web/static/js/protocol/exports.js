/**
 * The signed index of an export, as in firmware/protocol/exports.py.
 * @module
 */
import { WireError, join, parse, parseCanonical, unb64u, utf8 } from "./encoding.js";
import { verifyP256 } from "./p256.js";

/** @typedef {{clip_id: string, started_ms: number, duration_ms: number, dating: string, manifest_digest: string, size_bytes: number, is_held: boolean, kept_by: string[]}} ExportedClip */
/** @typedef {{v: 1, device: string, identity_key: string, export_digest: string, made_ms: number, until_ms: number, clips: ExportedClip[]}} ExportIndex what is used of it here; the rest is saved as it is */

const EXPORT_TAG = utf8("doorward/export/v1\0");
/** As in firmware/protocol/exports.py: an export ends by itself after this. */
export const EXPORT_LIFE_MS = 24 * 3600 * 1000;
/** @type {Record<string, RegExp>} */
const TEXTS = { clip_id: /^[a-z2-7]{26}$/, manifest_digest: /^[0-9a-f]{64}$/ };
const FIGURES = ["started_ms", "duration_ms", "size_bytes"];

/**
 * Returns the index of a `SignedExportIndex`, or throws WireError unless this doorbell signed it.
 * @param {string} text @param {string} device @param {Uint8Array} identitySpki
 * @returns {Promise<ExportIndex>}
 */
export async function checkIndex(text, device, identitySpki) {
  const { index, signature } = parse(text) ?? {};
  if (typeof index !== "string" || typeof signature !== "string") throw new WireError("the export isn't signed");
  if (!(await verifyP256(identitySpki, unb64u(signature), join(EXPORT_TAG, utf8(index))))) {
    throw new WireError("this export isn't signed by this doorbell");
  }
  const said = /** @type {ExportIndex & {domain: string}} */ (parseCanonical(index));
  const isRight = said.v === 1 && said.domain === "doorward/export/v1" && said.device === device && Array.isArray(said.clips);
  if (!isRight || !said.clips.every(isClip)) throw new WireError("an export of another form");
  return said;
}

/** @param {any} clip whose texts become file names */
function isClip(clip) {
  return (
    Object.entries(TEXTS).every(([key, form]) => typeof clip?.[key] === "string" && form.test(clip[key])) &&
    FIGURES.every((key) => Number.isSafeInteger(clip[key]) && clip[key] >= 0)
  );
}
