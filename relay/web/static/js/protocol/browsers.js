/**
 * The keys of one browser, as in firmware/protocol/browsers.py: created here, not extractable.
 *
 * The session key signs what asks the doorbell for live view; the viewing key opens what the
 * doorbell seals to this browser. Where they are kept is the caller's.
 * @module
 */
import { WireError, b64u, base32, sha256, unb64u } from "./encoding.js";
import { newSealingPair, rawPublicKey } from "./sealing.js";

/** @typedef {import("./documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("./sealing.js").SealingPair} SealingPair */
/** @typedef {{publicKey: CryptoKey, privateKey: CryptoKey}} SessionPair P-256 */
/** @typedef {{session: SessionPair, viewing: SealingPair}} BrowserPairs */

const P256 = { name: "ECDSA", namedCurve: "P-256" };

/**
 * Makes both pairs; no private half can be read out.
 * @param {SealingPair} [viewing] one that this browser has already
 * @returns {Promise<BrowserPairs>}
 */
export async function newBrowserPairs(viewing) {
  const made = /** @type {CryptoKeyPair} */ (
    await crypto.subtle.generateKey(P256, false, ["sign", "verify"])
  );
  const { publicKey, privateKey } = viewing ?? (await newSealingPair());
  return {
    session: { publicKey: made.publicKey, privateKey: made.privateKey },
    viewing: { publicKey, privateKey },
  };
}

/**
 * Returns the public halves under a name.
 * @param {string} name @param {BrowserPairs} pairs
 * @returns {Promise<BrowserKeys>}
 */
export async function browserKeysOf(name, { session, viewing }) {
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", session.publicKey));
  return {
    name,
    session_key: b64u(compressed(point)),
    viewing_key: b64u(await rawPublicKey(viewing.publicKey)),
  };
}

/** Returns the id that belongs to a session key. @param {BrowserKeys} keys */
export async function browserIdOf({ session_key }) {
  return base32(await sha256(unb64u(session_key))).slice(0, 20);
}

/**
 * Returns a point in its compressed form (SEC 1, section 2.3.3).
 * @param {Uint8Array} point 0x04 ‖ x ‖ y
 */
export function compressed(point) {
  if (point.length !== 65 || point[0] !== 0x04) throw new WireError("not a P-256 point");
  return Uint8Array.of(0x02 | (point[64] & 1), ...point.subarray(1, 33));
}
