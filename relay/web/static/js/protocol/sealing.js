/**
 * HPKE as in firmware/protocol/sealing.py: X25519, HKDF-SHA256, AES-256-GCM, base mode.
 *
 * Sealed bytes are enc (32) ‖ ciphertext ‖ tag, with an empty aad.
 * @module
 */
import { WireError, hex, join } from "./encoding.js";

/** @typedef {import("./encoding.js").Bytes} Bytes */
/** @typedef {{publicKey: CryptoKey, privateKey: CryptoKey}} SealingPair */

const ENC_BYTES = 32;
const PRIME = 2n ** 255n - 19n;
/** @typedef {typeof import("../../vendor/hpke.js")} Hpke */

/** @type {Promise<import("../../vendor/hpke.js").CipherSuite> | undefined} */
let loading;

/** @param {Hpke} hpke */
const suiteOf = (hpke) => new hpke.CipherSuite(hpke.KEM_DHKEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_256_GCM);

/** Takes HPKE from one who has it: a service worker may import nothing later. @param {Hpke} hpke */
export function useHpke(hpke) {
  loading = Promise.resolve(suiteOf(hpke));
}

/** HPKE, fetched when something is first sealed or opened: pages stand before it is there. */
function suite() {
  loading ??= import("../../vendor/hpke.js").then(suiteOf);
  loading.catch(() => (loading = undefined)); // no network: the next try fetches it
  return loading;
}

/** Fetches what sealing needs, or throws: whoever can't fetch it mustn't take a note for one that can't be opened. */
export async function loadSealing() {
  await suite();
}

/**
 * @param {Uint8Array} publicKey raw X25519
 * @param {Uint8Array} plain
 * @param {Uint8Array} info
 * @returns {Promise<Bytes>}
 */
export async function sealTo(publicKey, plain, info) {
  checkX25519(publicKey);
  const hpke = await suite();
  const recipient = await hpke.DeserializePublicKey(publicKey);
  const { encapsulatedSecret, ciphertext } = await hpke.Seal(recipient, plain, { info });
  return join(encapsulatedSecret, ciphertext);
}

/**
 * Throws WireError unless these bytes are the one encoding of an X25519 public key: a number below
 * 2^255 - 19, for X25519 ignores the highest bit and takes u + p for u (RFC 7748, section 5).
 * @param {Uint8Array} publicKey
 */
export function checkX25519(publicKey) {
  if (publicKey.length !== ENC_BYTES) throw new WireError("not an X25519 public key of 32 bytes");
  if (BigInt(`0x${hex(publicKey.toReversed())}`) >= PRIME) throw new WireError("not an X25519 public key in its one form");
}

/**
 * @param {SealingPair} pair
 * @param {Uint8Array} sealed
 * @param {Uint8Array} info
 * @returns {Promise<Bytes>}
 */
export async function openSealed(pair, sealed, info) {
  const enc = sealed.subarray(0, ENC_BYTES);
  const hpke = await suite();
  try {
    return join(await hpke.Open(pair, enc, sealed.subarray(ENC_BYTES), { info }));
  } catch (error) {
    throw new WireError("sealed to another key, or altered ({reason})", { reason: String(error) });
  }
}

/** Makes a pair whose private half can't be read out. @returns {Promise<SealingPair>} */
export async function newSealingPair() {
  return /** @type {SealingPair} */ (await (await suite()).GenerateKeyPair(false));
}

/** @param {CryptoKey} key @returns {Promise<Bytes>} the raw 32 bytes */
export async function rawPublicKey(key) {
  return join(await (await suite()).SerializePublicKey(key));
}

/**
 * @param {Uint8Array} privateKey raw X25519
 * @param {Uint8Array} publicKey raw X25519
 * @returns {Promise<SealingPair>}
 */
export async function importSealingPair(privateKey, publicKey) {
  const hpke = await suite();
  return /** @type {SealingPair} */ ({
    privateKey: await hpke.DeserializePrivateKey(privateKey, false),
    publicKey: await hpke.DeserializePublicKey(publicKey),
  });
}
