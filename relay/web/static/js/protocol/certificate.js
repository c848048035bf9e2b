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

/** @typedef {{from: number, begin: number, end: number}} Element `from` is its tag, `begin` its content */

/**
 * @param {string} pem
 * @returns {Uint8Array<ArrayBuffer>} SubjectPublicKeyInfo, DER
 */
export function identityKeyOf(pem) {
  const der = derOf(pem);
  const certificate = element(der, 0, SEQUENCE);
  const tbs = element(der, certificate.begin, SEQUENCE);
  let position = tbs.begin;
  if (der[position] === VERSION) position = element(der, position).end;
  // serialNumber, signature, issuer, validity, subject
  for (let i = 0; i < 5; i += 1) position = element(der, position).end;
  return der.slice(position, element(der, position, SEQUENCE).end);
}

/** @param {string} pem @returns {Uint8Array<ArrayBuffer>} the first certificate, DER */
export function derOf(pem) {
  const [, body] = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/.exec(pem) ?? [];
  if (body === undefined) throw new WireError("not a certificate");
  return Uint8Array.from(atob(body.replace(/\s/g, "")), (character) => character.charCodeAt(0));
}

/**
 * Find the element of DER that begins at `from`, or throw WireError if its tag is another.
 * @param {Uint8Array} der @param {number} from @param {number} [tag]
 * @returns {Element}
 */
export function element(der, from, tag) {
  if (from + 2 > der.length || (tag !== undefined && der[from] !== tag)) throw new WireError("not a certificate");
  let size = der[from + 1];
  let begin = from + 2;
  if (size & 0x80) {
    const digits = size & 0x7f;
    size = 0;
    for (let i = 0; i < digits; i += 1) size = size * 256 + der[begin + i];
    begin += digits;
  }
  if (!(begin + size <= der.length)) throw new WireError("the certificate is cut off");
  return { from, begin, end: begin + size };
}
