/**
 * Sealed thumbnails of events, as in firmware/protocol/thumbnails.py: sealed to this browser,
 * signed by the doorbell.
 * @module
 */
import { WireError, join, parseCanonical, sha256Hex, text, unb64u, utf8 } from "./encoding.js";
import { verifyP256 } from "./p256.js";
import { openSealed } from "./sealing.js";

/** @typedef {import("./documents.js").PictureFacts} PictureFacts */
/** @typedef {import("./documents.js").WrappedKey} WrappedKey */

/** A picture that is older than this when its event happened is shown with its age. */
export const OLD_AFTER_MS = 5_000;

const FACTS_TAG = utf8("doorward/thumbnail/v1\0");
const KEY_INFO = utf8("doorward/thumbnail-key/v1");
const NONCE_BYTES = 12;
const MAX_JPEG_BYTES = 24_000;
const FACT_FIELDS = ["v", "domain", "device", "event_id", "taken_ms", "age_ms", "jpeg_sha256"].sort();

/**
 * Returns the facts and the JPEG if the doorbell signed both; throws WireError.
 * @param {string} picture base64url
 * @param {WrappedKey} key
 * @param {import("./sealing.js").SealingPair} pair this browser's viewing key
 * @param {Uint8Array} identitySpki
 * @returns {Promise<{facts: PictureFacts, jpeg: Uint8Array<ArrayBuffer>}>}
 */
export async function openThumbnail(picture, key, pair, identitySpki) {
  const secret = await openSealed(pair, unb64u(key.sealed), KEY_INFO);
  const { factsText, signature, jpeg } = parsePlain(await openPicture(unb64u(picture), secret));
  if (!(await verifyP256(identitySpki, signature, join(FACTS_TAG, utf8(factsText))))) {
    throw new WireError("this picture isn't signed by this doorbell");
  }
  const facts = /** @type {PictureFacts} */ (parseCanonical(factsText));
  if (String(Object.keys(facts).sort()) !== String(FACT_FIELDS)) {
    throw new WireError("the picture's facts have other fields than are known here");
  }
  if ((await sha256Hex(jpeg)) !== facts.jpeg_sha256) {
    throw new WireError("this isn't the picture that the doorbell signed");
  }
  return { facts, jpeg };
}

/** @param {Uint8Array<ArrayBuffer>} sealed @param {Uint8Array<ArrayBuffer>} secret */
async function openPicture(sealed, secret) {
  const iv = sealed.subarray(0, NONCE_BYTES);
  const cipher = { name: "AES-GCM", iv, additionalData: FACTS_TAG };
  try {
    const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["decrypt"]);
    return new Uint8Array(await crypto.subtle.decrypt(cipher, key, sealed.subarray(NONCE_BYTES)));
  } catch {
    throw new WireError("this picture is sealed to another browser, or altered");
  }
}

/** @param {Uint8Array} plain facts' length (2) ‖ facts ‖ JPEG's length (4) ‖ JPEG ‖ zeros */
function parsePlain(plain) {
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const factsEnd = 2 + view.getUint16(0);
  if (factsEnd + 4 > plain.length) throw new WireError("the picture is cut off");
  const size = view.getUint32(factsEnd);
  const jpeg = join(plain.subarray(factsEnd + 4, factsEnd + 4 + size));
  if (jpeg.length !== size || size > MAX_JPEG_BYTES) throw new WireError("the picture is cut off");
  const signed = parseCanonical(text(plain.subarray(2, factsEnd)));
  const { facts, signature } = /** @type {{facts: string, signature: string}} */ (signed);
  if (typeof facts !== "string" || typeof signature !== "string") {
    throw new WireError("the picture isn't signed");
  }
  return { factsText: facts, signature: unb64u(signature), jpeg };
}
