/**
 * Owner statements, as in firmware/protocol/grants.py: built here, signed by a passkey, sealed.
 * @module
 */
import { b64u, canonical, newId, unb64u, utf8 } from "./encoding.js";
import { sealTo } from "./sealing.js";

/** @typedef {import("./documents.js").Statement} Statement */
/** @typedef {import("./documents.js").SignedStatement} SignedStatement */

export const STATEMENT_TAG = "doorward/statement/v1";
const SEAL_INFO = utf8("doorward/sealed-statement/v1");
/** Every statement is padded to a multiple of this, so that its size doesn't say what it decides. */
const STATEMENT_STEP_BYTES = 16 * 1024;
const SPACE = 0x20;

/**
 * Returns the canonical text of a fresh statement.
 * @param {string} device
 * @param {Statement["terms"]} terms
 * @param {number} notAfterMs at most 24 hours from now
 */
export function statementText(device, terms, notAfterMs) {
  /** @type {Statement} */
  const statement = {
    v: 1,
    domain: STATEMENT_TAG,
    device,
    nonce: newId(),
    not_after_ms: notAfterMs,
    terms,
  };
  return canonical(statement);
}

/**
 * Pads a signed statement and seals it to the doorbell.
 * @param {SignedStatement} signed
 * @param {string} sealingKey raw X25519, base64url
 * @returns {Promise<string>} base64url
 */
export async function sealStatement(signed, sealingKey) {
  const plain = utf8(canonical(signed));
  const size = Math.ceil(plain.length / STATEMENT_STEP_BYTES) * STATEMENT_STEP_BYTES;
  const padded = new Uint8Array(size).fill(SPACE);
  padded.set(plain);
  return b64u(await sealTo(unb64u(sealingKey), padded, SEAL_INFO));
}
