/**
 * P-256 keys in their one accepted form, and ECDSA signatures with SHA-256 in DER, as in
 * firmware/protocol/encoding.py.
 * @module
 */
import { WireError, hex, join } from "./encoding.js";

const P256 = { name: "ECDSA", namedCurve: "P-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };
/** What each begins with (RFC 5480, section 2), the first byte of an uncompressed point too. */
export const P256_HEAD = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
const P256_SPKI_BYTES = 91;

/**
 * Tells whether a DER signature over `data` is by the key (SubjectPublicKeyInfo).
 * @param {Uint8Array} spki
 * @param {Uint8Array} signature
 * @param {Uint8Array} data
 */
export async function verifyP256(spki, signature, data) {
  const key = await importP256(spki);
  const raw = rawSignature(signature);
  return raw !== null && crypto.subtle.verify(ES256, key, raw, join(data));
}

/**
 * Imports a P-256 key in its one accepted form: SubjectPublicKeyInfo with an uncompressed point.
 * @param {Uint8Array} spki
 */
export async function importP256(spki) {
  const isInForm = spki.length === P256_SPKI_BYTES && hex(spki.subarray(0, P256_HEAD.length / 2)) === P256_HEAD;
  if (!isInForm) throw new WireError("not a P-256 public key in its one form, with an uncompressed point");
  try {
    return await crypto.subtle.importKey("spki", join(spki), P256, false, ["verify"]);
  } catch {
    throw new WireError("not a P-256 public key");
  }
}

/**
 * Turns a DER ECDSA signature into r ‖ s (IEEE P1363), which WebCrypto wants, or null.
 * @param {Uint8Array} der
 */
export function rawSignature(der) {
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const raw = new Uint8Array(64);
  let position = 2;
  for (const end of [32, 64]) {
    if (der[position] !== 0x02) return null;
    const size = der[position + 1];
    let number = der.subarray(position + 2, position + 2 + size);
    if (size === 0 || number.length !== size || number[0] & 0x80) return null;
    const isPadded = number[0] === 0 && number.length > 1;
    if (isPadded && !(number[1] & 0x80)) return null; // a byte to spare is no DER
    if (isPadded) number = number.subarray(1);
    if (number.length > 32) return null;
    raw.set(number, end - number.length);
    position += 2 + size;
  }
  return position === der.length ? raw : null;
}

/** @param {Uint8Array} raw r ‖ s @returns {Uint8Array<ArrayBuffer>} DER */
export function derSignature(raw) {
  const numbers = [raw.subarray(0, 32), raw.subarray(32, 64)].map((half) => {
    let begin = 0;
    while (begin < 31 && half[begin] === 0) begin += 1;
    const digits = half.subarray(begin);
    const body = digits[0] & 0x80 ? join(new Uint8Array(1), digits) : join(digits);
    return join(Uint8Array.of(0x02, body.length), body);
  });
  return join(Uint8Array.of(0x30, numbers[0].length + numbers[1].length), ...numbers);
}
