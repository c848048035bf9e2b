/**
 * Notes from a doorbell to one owner, as in firmware/protocol/notes.py: sealed to this browser, and
 * signed by the doorbell, since whoever knows a viewing key can seal.
 * @module
 */
import { WireError, join, parse, parseCanonical, text, unb64u, utf8 } from "./encoding.js";
import { verifyP256 } from "./p256.js";
import { openSealed } from "./sealing.js";

/** @typedef {import("./documents.js").OwnerNote} OwnerNote */

const NOTE_TAG = utf8("doorward/note/v1\0");
const NOTE_INFO = utf8("doorward/note/v1");
const NOTE_FIELDS = ["device", "id", "told_ms", "sealing_key", "body"].sort();

/**
 * Returns what the doorbell wrote, or throws WireError.
 * @param {string} sealed base64url
 * @param {import("./sealing.js").SealingPair} pair this browser's viewing key
 * @param {Uint8Array} identitySpki
 * @returns {Promise<OwnerNote>}
 */
export async function openNote(sealed, pair, identitySpki) {
  return (await openSignedNote(sealed, pair, identitySpki)).opened;
}

/**
 * As `openNote`, with the signed text for who wants to show it to somebody.
 * @param {string} sealed @param {import("./sealing.js").SealingPair} pair @param {Uint8Array} identitySpki
 * @returns {Promise<{opened: OwnerNote, signed: {note: string, signature: string}}>}
 */
export async function openSignedNote(sealed, pair, identitySpki) {
  const signed = parse(text(await openSealed(pair, unb64u(sealed), NOTE_INFO)).trimEnd());
  const { note, signature } = /** @type {{note: unknown, signature: unknown}} */ (signed ?? {});
  if (typeof note !== "string" || typeof signature !== "string") throw new WireError("the note isn't signed");
  if (!(await verifyP256(identitySpki, unb64u(signature), join(NOTE_TAG, utf8(note))))) {
    throw new WireError("this note isn't signed by this doorbell");
  }
  const opened = /** @type {OwnerNote} */ (parseCanonical(note));
  if (String(Object.keys(opened).sort()) !== String(NOTE_FIELDS)) {
    throw new WireError("the note has other fields than are known here");
  }
  return { opened, signed: { note, signature } };
}
