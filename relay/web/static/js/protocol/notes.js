/**
 * Sealed notes from a doorbell to one owner, as in firmware/protocol/notes.py.
 * @module
 */
import { parse, text, unb64u, utf8 } from "./encoding.js";
import { openSealed } from "./sealing.js";

/** @typedef {import("./documents.js").OwnerNote} OwnerNote */

const NOTE_INFO = utf8("doorward/note/v1");

/**
 * @param {string} sealed base64url
 * @param {import("./sealing.js").SealingPair} pair
 * @returns {Promise<OwnerNote>}
 */
export async function openNote(sealed, pair) {
  return parse(text(await openSealed(pair, unb64u(sealed), NOTE_INFO)).trimEnd());
}
