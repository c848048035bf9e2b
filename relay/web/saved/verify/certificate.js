/**
 * A doorbell's X.509 certificate: its key, and whether the fleet's CA signed it (RFC 5280, 4.1).
 * @module
 */
import { derOf, element } from "../../static/js/protocol/certificate.js";
import { b64u } from "../../static/js/protocol/encoding.js";
import { verifyP256 } from "../../static/js/protocol/p256.js";
import { must } from "./document_reader.js";

/** @typedef {import("../../static/js/protocol/certificate.js").Element} Element */
/** @typedef {{tbs: Uint8Array, issuer: Uint8Array, subject: Uint8Array, spki: Uint8Array, algorithm: Uint8Array, signature: Uint8Array}} Certificate */

const SEQUENCE = 0x30;
const VERSION = 0xa0;
const BIT_STRING = 0x03;
/** SEQUENCE { ecdsa-with-SHA256 } (RFC 5758, 3.2). */
const ECDSA_SHA256 = "MAoGCCqGSM49BAMC";

/** @param {string} pem @returns {Certificate} */
export function parseCertificate(pem) {
  const der = derOf(pem);
  const [tbs, algorithm, signature] = inside(der, element(der, 0, SEQUENCE));
  const fields = inside(der, tbs);
  if (der[fields[0].from] === VERSION) fields.shift();
  // serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
  const [, , issuer, , subject, spki] = fields;
  must(der[signature.from] === BIT_STRING && der[signature.begin] === 0, "not a certificate");
  return {
    tbs: der.slice(tbs.from, tbs.end),
    issuer: der.slice(issuer.from, issuer.end),
    subject: der.slice(subject.from, subject.end),
    spki: der.slice(spki.from, spki.end),
    algorithm: der.slice(algorithm.from, algorithm.end),
    signature: der.slice(signature.begin + 1, signature.end),
  };
}

/** @param {Certificate} certificate @param {Certificate} authority */
export async function checkIssued(certificate, authority) {
  const isNamed = b64u(certificate.issuer) === b64u(authority.subject);
  const isKnown = btoa(String.fromCharCode(...certificate.algorithm)) === ECDSA_SHA256;
  const { spki } = authority;
  const holds = isNamed && isKnown && (await verifyP256(spki, certificate.signature, certificate.tbs));
  must(holds, "the fleet didn't issue this doorbell's certificate");
}

/** @param {Uint8Array} der @param {Element} parent @returns {Element[]} */
function inside(der, parent) {
  const found = [];
  for (let position = parent.begin; position < parent.end; ) {
    const one = element(der, position);
    found.push(one);
    position = one.end;
  }
  return found;
}
