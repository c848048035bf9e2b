/**
 * Parser of the identity key in a doorbell's X.509 certificate (RFC 5280, section 4.1).
 *
 * Only the SubjectPublicKeyInfo is read. The certificate itself proves nothing here: a device id
 * is the digest of its key, and that is what callers compare.
 * @module
 */
import { WireError } from "./encoding.js";

const SEQUENCE = 0x30;
const VERSION = 0xa0;

/**
 * @param {string} pem
 * @returns {Uint8Array<ArrayBuffer>} SubjectPublicKeyInfo, DER
 */
export function identityKeyOf(pem) {
  const [, body] = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/.exec(pem) ?? [];
  if (body === undefined) throw new WireError("not a certificate");
  const der = Uint8Array.from(atob(body.replace(/\s/g, "")), (character) => character.charCodeAt(0));
  const certificate = element(der, 0, SEQUENCE);
  const tbs = element(der, certificate.begin, SEQUENCE);
  let position = tbs.begin;
  if (der[position] === VERSION) position = element(der, position).end;
  // serialNumber, signature, issuer, validity, subject
  for (let i = 0; i < 5; i += 1) position = element(der, position).end;
  return der.slice(position, element(der, position, SEQUENCE).end);
}

/** @param {Uint8Array} der @param {number} position @param {number} [tag] */
function element(der, position, tag) {
  if (position + 2 > der.length || (tag !== undefined && der[position] !== tag)) {
    throw new WireError("not a certificate");
  }
  let size = der[position + 1];
  let begin = position + 2;
  if (size & 0x80) {
    const digits = size & 0x7f;
    size = 0;
    for (let i = 0; i < digits; i += 1) size = size * 256 + der[begin + i];
    begin += digits;
  }
  if (!(begin + size <= der.length)) throw new WireError("the certificate is cut off");
  return { begin, end: begin + size };
}
