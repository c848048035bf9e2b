/**
 * The pairing's QR text and six words, as in firmware/protocol/pairing.py.
 * @module
 */
import words from "../../vendor/words.js";
import { b64u, canonical, utf8 } from "./encoding.js";

/** @typedef {import("./documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("./documents.js").PairingCode} PairingCode */

const QR_PREFIX = "DW1:";
const WORDS_ROUNDS = 200_000;
const WORDS_SALT = "doorward/six-words/v1";

/** @param {PairingCode} code */
export function qrText(code) {
  return QR_PREFIX + b64u(utf8(canonical(code)));
}

/**
 * Returns the six words over the owner's keys and the doorbell's.
 * @param {PairingCode} code
 * @param {string} identityKey base64url
 * @param {string} sealingKey base64url
 * @returns {Promise<string[]>}
 */
export function sixWords(code, identityKey, sealingKey) {
  return wordsOver({
    code: canonical(code),
    identity_key: identityKey,
    sealing_key: sealingKey,
  });
}

/**
 * Six words over a newcomer's keys alone, who becomes an owner by an owner's word: their own app
 * and the doorbell's page show the same, unless somebody swapped keys.
 * @param {PairingCode} code
 */
export function newcomerWords(code) {
  return sixWords(code, "", "");
}

/**
 * Six words over the keys of a browser that is to watch one doorbell: that browser and the
 * doorbell's page show the same, unless somebody swapped keys.
 * @param {string} device
 * @param {BrowserKeys} browser
 */
export function browserWords(device, browser) {
  return wordsOver({ browser: canonical(browser), device });
}

/** Six words over the public halves of a recovery key; they stand on its paper, too. @param {import("./documents.js").RecoveryKeys} keys */
export function recoveryKeyWords(keys) {
  return wordsOver({ recovery: canonical(keys) });
}

/** Six words over a key that is to confirm statements; its own program shows them too. @param {import("./documents.js").PasskeyKey} key */
export function approverWords(key) {
  return wordsOver({ approver: canonical(key) });
}

/** @param {Record<string, string>} bound @returns {Promise<string[]>} */
async function wordsOver(bound) {
  const secret = utf8(canonical(bound));
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const stretch = {
    name: "PBKDF2",
    hash: "SHA-256",
    salt: utf8(WORDS_SALT),
    iterations: WORDS_ROUNDS,
  };
  const raw = new Uint8Array(await crypto.subtle.deriveBits(stretch, key, 48));
  return Array.from(raw, (byte) => words[byte]);
}
