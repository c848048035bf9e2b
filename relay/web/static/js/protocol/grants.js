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
 * Seals a signed statement to the doorbell.
 * @param {SignedStatement} signed
 * @param {string} sealingKey raw X25519, base64url
 * @returns {Promise<string>} base64url
 */
export async function sealStatement(signed, sealingKey) {
  return b64u(await sealTo(unb64u(sealingKey), utf8(canonical(signed)), SEAL_INFO));
}
