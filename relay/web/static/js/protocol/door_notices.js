/**
 * Notices for passers-by, as in firmware/protocol/door_notices.py: what a doorbell records, signed
 * by a key that was made for the notice alone, and whose digest is the notice's id.
 * @module
 */
import { WireError, base32, join, parseCanonical, sha256, unb64u, utf8 } from "./encoding.js";
import { verifyP256 } from "./p256.js";

/** @typedef {import("./documents.js").DoorNotice} DoorNotice */

const NOTICE_TAG = utf8("doorward/door-notice/v1\0");
const ID_TAG = utf8("doorward/door-notice-id/v1\0");
/** How long the relay shows a notice that isn't renewed. */
export const NOTICE_DAYS = 31;
/** The longest that a contact may be, in letters, and in bytes within a signed note. */
export const CONTACT_CHARS = 200;
export const MAX_CONTACT_BYTES = 320;

/** Tells how many bytes a contact takes in a signed note, which is JSON within JSON. @param {string} contact */
export function contactBytes(contact) {
  return utf8(JSON.stringify(JSON.stringify(contact))).length;
}

/**
 * Returns the notice of this id, or throws WireError unless the key behind the id signed it.
 * @param {{notice: string, signature: string}} signed @param {string} noticeId
 * @returns {Promise<DoorNotice>}
 */
export async function checkNotice({ notice, signature }, noticeId) {
  if (typeof notice !== "string" || typeof signature !== "string") throw new WireError("the notice isn't signed");
  const said = /** @type {DoorNotice | null} */ (parseCanonical(notice));
  if (typeof said?.key !== "string") throw new WireError("the notice names no key");
  const key = unb64u(said.key);
  if (base32(await sha256(join(ID_TAG, key))).slice(0, 26) !== noticeId) throw new WireError("this is another notice");
  if (!(await verifyP256(key, unb64u(signature), join(NOTICE_TAG, utf8(notice))))) {
    throw new WireError("the notice isn't signed by its own key");
  }
  return said;
}
