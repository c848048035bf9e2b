/**
 * Signed documents of live view, as in firmware/protocol/live.py.
 *
 * Signed is the document's domain, a zero byte, and the very text that is sent.
 * @module
 */
import {
  WireError,
  b64u,
  canonical,
  hex,
  join,
  parseCanonical,
  sha256,
  sha256Hex,
  unb64u,
  utf8,
} from "./encoding.js";
import { derSignature, verifyP256 } from "./p256.js";
import { sealTo } from "./sealing.js";

/** @typedef {import("./documents.js").SignedLive} SignedLive */
/** @typedef {import("./documents.js").LiveOffer} LiveOffer */
/** @typedef {import("./documents.js").LiveAnswer} LiveAnswer */
/** @typedef {import("./documents.js").LiveCandidates} LiveCandidates */
/** @typedef {import("./documents.js").BrowserOrder} BrowserOrder */

export const NONCE_LIFE_MS = 120_000;
export const MAX_CANDIDATES = 32;
export const MAX_CANDIDATE_MESSAGES = 16;
const ANSWER_DOMAIN = "doorward/live-answer/v1";
const ORDER_SEAL_INFO = utf8("doorward/browser-order/v1");
const ES256 = { name: "ECDSA", hash: "SHA-256" };
const FINGERPRINT = /^[a-z0-9-]{5,16} [0-9A-F:]{47,191}$/;
const ANSWER_FIELDS = [
  ...["v", "domain", "device", "session_id", "nonce", "offer_digest", "offer_fingerprints"],
  ...["answer_fingerprints", "expires_ms", "lasts_s", "sdp"],
].sort();

/** An answer that isn't the doorbell's to this offer: whoever sent it may be in between. */
export class AnswerRefused extends WireError {
  /**
   * @param {"signature" | "another" | "expired" | "fingerprint"} reason
   * @param {string} message
   */
  constructor(reason, message) {
    super(message);
    this.name = "AnswerRefused";
    this.reason = reason;
  }
}

/**
 * Signs with a browser's session key.
 * @param {LiveOffer | LiveCandidates | BrowserOrder} document
 * @param {CryptoKey} sessionKey
 * @returns {Promise<SignedLive>}
 */
export async function signLive(document, sessionKey) {
  const text = canonical(document);
  const data = tagged(document.domain, text);
  const raw = new Uint8Array(await crypto.subtle.sign(ES256, sessionKey, data));
  return { text, signature: b64u(derSignature(raw)) };
}

/**
 * Seals a signed order to a doorbell.
 * @param {SignedLive} signed @param {string} sealingKey base64url
 */
export async function sealOrder(signed, sealingKey) {
  return b64u(await sealTo(unb64u(sealingKey), utf8(canonical(signed)), ORDER_SEAL_INFO));
}

/**
 * Returns the doorbell's answer to the signed offer, or throws AnswerRefused or WireError.
 * @param {SignedLive} signed
 * @param {Uint8Array} identitySpki
 * @param {{offer: SignedLive, nowMs: number}} asked
 * @returns {Promise<LiveAnswer>}
 */
export async function checkAnswer(signed, identitySpki, { offer, nowMs }) {
  const message = tagged(ANSWER_DOMAIN, signed.text);
  if (!(await verifyP256(identitySpki, unb64u(signed.signature), message))) {
    throw new AnswerRefused("signature", "the answer isn't signed by this doorbell");
  }
  const answer = /** @type {LiveAnswer} */ (parseCanonical(signed.text));
  if (String(Object.keys(answer).sort()) !== String(ANSWER_FIELDS) || answer.domain !== ANSWER_DOMAIN) {
    throw new WireError("the answer has other fields than are known here");
  }
  const asked = /** @type {LiveOffer} */ (parseCanonical(offer.text));
  const isSame =
    answer.device === asked.device &&
    answer.session_id === asked.session_id &&
    answer.nonce === asked.nonce &&
    answer.offer_digest === (await sha256Hex(utf8(offer.text)));
  if (!isSame) throw new AnswerRefused("another", "the answer is to another offer");
  if (!(nowMs < answer.expires_ms)) throw new AnswerRefused("expired", "the answer's time is over");
  if (!areSame(answer.offer_fingerprints, fingerprintsOf(asked.sdp))) {
    throw new AnswerRefused("fingerprint", "the answer is for another certificate of this side");
  }
  if (!areSame(answer.answer_fingerprints, fingerprintsOf(answer.sdp))) {
    throw new AnswerRefused("fingerprint", "the answer's SDP names another certificate than is signed");
  }
  return answer;
}

/**
 * Returns each DTLS fingerprint that an SDP names, once, in one form; none is a WireError.
 * @param {string} sdp
 */
export function fingerprintsOf(sdp) {
  const found = new Set(
    sdp
      .split(/\r\n|\r|\n/)
      .filter((line) => line.startsWith("a=fingerprint:"))
      .map((line) => fingerprint(line.slice("a=fingerprint:".length))),
  );
  if (found.size === 0) throw new WireError("the SDP has no DTLS fingerprint");
  return [...found];
}

/** Returns a certificate's fingerprint as an SDP would name it. @param {Uint8Array} der */
export async function fingerprintOfCertificate(der) {
  const digits = hex(await sha256(der)).toUpperCase().match(/../g) ?? [];
  return `sha-256 ${digits.join(":")}`;
}

/** @param {string} value */
function fingerprint(value) {
  const [name, ...digits] = value.trim().split(" ");
  const written = `${name.toLowerCase()} ${digits.join(" ").trim().toUpperCase()}`;
  if (!FINGERPRINT.test(written)) throw new WireError("a DTLS fingerprint that isn't one (RFC 8122)");
  return written;
}

/** @param {unknown} signed @param {string[]} found */
function areSame(signed, found) {
  if (!Array.isArray(signed)) return false;
  const [left, right] = [new Set(signed), new Set(found)];
  return left.size === right.size && [...left].every((one) => right.has(one));
}

/** @param {string} domain @param {string} text */
function tagged(domain, text) {
  return join(utf8(domain), new Uint8Array(1), utf8(text));
}
