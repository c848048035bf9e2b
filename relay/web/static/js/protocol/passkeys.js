/**
 * Passkey challenges, signatures and assertions, as in firmware/protocol/passkeys.py.
 * @module
 */
import { WireError, b64u, hex, join, parse, sha256, text, unb64u, utf8 } from "./encoding.js";
import { P256_HEAD, importP256, verifyP256 } from "./p256.js";

/** @typedef {import("./documents.js").Assertion} Assertion */
/** @typedef {import("./documents.js").PasskeyKey} PasskeyKey */

const FLAG_USER_PRESENT = 0x01;
const FLAG_USER_VERIFIED = 0x04;
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 4096;
const RSA_EXPONENT = "AQAB"; // 65537

/**
 * Returns the 32 bytes that sign a canonical document under a tag.
 * @param {string} tag
 * @param {string} document
 */
export function challenge(tag, document) {
  return sha256(join(utf8(tag), new Uint8Array(1), utf8(document)));
}

/**
 * Tells whether a signature over `data` is by a passkey: ES256 or RS256, as its key is.
 * @param {Uint8Array} spki
 * @param {Uint8Array} signature
 * @param {Uint8Array} data
 */
export async function verifyPasskey(spki, signature, data) {
  const rsa = await importRsa(spki);
  if (rsa === null) return verifyP256(spki, signature, data);
  return crypto.subtle.verify(RS256, rsa, join(signature), join(data));
}

/**
 * Tells whether two texts are one passkey's public key; throws WireError if one is none.
 * @param {string} one base64url of SubjectPublicKeyInfo @param {string} other
 */
export async function isSameKey(one, other) {
  const [first, second] = await Promise.all([one, other].map(async (key) => {
    const spki = unb64u(key);
    await checkPasskey(spki);
    return b64u(spki);
  }));
  return first === second;
}

/**
 * Tells whether two passkeys are one, under whichever name: nobody signs a credential id.
 * @param {PasskeyKey} one @param {PasskeyKey} other
 */
export async function isSamePasskey(one, other) {
  const isNamedSame = b64u(unb64u(one.credential_id)) === b64u(unb64u(other.credential_id));
  return isNamedSame || isSameKey(one.public_key, other.public_key);
}

/** Throws WireError unless it is a passkey's key in its one form. @param {Uint8Array} spki */
export async function checkPasskey(spki) {
  if ((await importRsa(spki)) === null) await importP256(spki);
}

/** @param {Uint8Array} spki @returns {Promise<CryptoKey | null>} null if it is another kind of key */
async function importRsa(spki) {
  if (hex(spki.subarray(0, P256_HEAD.length / 2)) === P256_HEAD) return null;
  const key = await crypto.subtle
    .importKey("spki", join(spki), RS256, true, ["verify"])
    .catch(() => null);
  if (key === null) return null;
  const { modulusLength, publicExponent } = /** @type {RsaHashedKeyAlgorithm} */ (key.algorithm);
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw new WireError("an RSA passkey has {least} to {most} bits", { least: MIN_RSA_BITS, most: MAX_RSA_BITS });
  }
  if (b64u(publicExponent) !== RSA_EXPONENT) throw new WireError("an RSA passkey's exponent is 65537");
  const anew = new Uint8Array(await crypto.subtle.exportKey("spki", key));
  if (b64u(anew) !== b64u(spki)) throw new WireError("not an RSA public key in its one form");
  return key;
}

/**
 * Checks one assertion against the one passkey that may have made it; throws WireError.
 * @param {Assertion} assertion
 * @param {PasskeyKey} key
 * @param {Uint8Array} expectedChallenge
 */
export async function checkAssertion(assertion, key, expectedChallenge) {
  const clientDataBytes = unb64u(assertion.client_data_json);
  const clientData = parseClientData(clientDataBytes);
  const data = unb64u(assertion.authenticator_data);
  const rpIdHash = await sha256(utf8(key.rp_id));
  require(assertion.credential_id === key.credential_id, "made by another passkey");
  require(clientData.type === "webauthn.get", "not an assertion");
  require(clientData.challenge === b64u(expectedChallenge), "signs something else");
  require(clientData.origin === key.origin, "made on another page");
  require(!Object.hasOwn(clientData, "crossOrigin") || clientData.crossOrigin === false, "made inside another site's frame");
  require(data.length >= 37, "authenticator data is too short");
  require(b64u(data.subarray(0, 32)) === b64u(rpIdHash), "made for another site");
  require((data[32] & FLAG_USER_PRESENT) !== 0, "nobody touched the authenticator");
  require((data[32] & FLAG_USER_VERIFIED) !== 0, "the authenticator didn't verify its user");
  const signed = join(data, await sha256(clientDataBytes));
  const holds = await verifyPasskey(unb64u(key.public_key), unb64u(assertion.signature), signed);
  require(holds, "the signature doesn't match");
}

/** @param {Uint8Array} data @returns {Record<string, unknown>} */
function parseClientData(data) {
  const parsed = parse(text(data));
  require(typeof parsed === "object" && parsed !== null && !Array.isArray(parsed), "client data is no object");
  return parsed;
}

/** @param {boolean} condition @param {string} otherwise */
function require(condition, otherwise) {
  if (!condition) throw new WireError(otherwise);
}
