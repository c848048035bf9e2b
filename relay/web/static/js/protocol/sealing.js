/**
 * HPKE as in firmware/protocol/sealing.py: X25519, HKDF-SHA256, AES-256-GCM, base mode.
 *
 * Sealed bytes are enc (32) ‖ ciphertext ‖ tag, with an empty aad.
 * @module
 */
import * as hpke from "../../vendor/hpke.js";
import { WireError, join } from "./encoding.js";

/** @typedef {import("./encoding.js").Bytes} Bytes */
/** @typedef {{publicKey: CryptoKey, privateKey: CryptoKey}} SealingPair */

const ENC_BYTES = 32;
const suite = new hpke.CipherSuite(
  hpke.KEM_DHKEM_X25519_HKDF_SHA256,
  hpke.KDF_HKDF_SHA256,
  hpke.AEAD_AES_256_GCM,
);

/**
 * @param {Uint8Array} publicKey raw X25519
 * @param {Uint8Array} plain
 * @param {Uint8Array} info
 * @returns {Promise<Bytes>}
 */
export async function sealTo(publicKey, plain, info) {
  const recipient = await suite.DeserializePublicKey(publicKey);
  const { encapsulatedSecret, ciphertext } = await suite.Seal(recipient, plain, { info });
  return join(encapsulatedSecret, ciphertext);
}

/**
 * @param {SealingPair} pair
 * @param {Uint8Array} sealed
 * @param {Uint8Array} info
 * @returns {Promise<Bytes>}
 */
export async function openSealed(pair, sealed, info) {
  const enc = sealed.subarray(0, ENC_BYTES);
  try {
    return join(await suite.Open(pair, enc, sealed.subarray(ENC_BYTES), { info }));
  } catch (error) {
    throw new WireError("sealed to another key, or altered ({reason})", { reason: String(error) });
  }
}

/** Makes a pair whose private half can't be read out. @returns {Promise<SealingPair>} */
export async function newSealingPair() {
  return /** @type {SealingPair} */ (await suite.GenerateKeyPair(false));
}

/** @param {CryptoKey} key @returns {Promise<Bytes>} the raw 32 bytes */
export async function rawPublicKey(key) {
  return join(await suite.SerializePublicKey(key));
}

/**
 * @param {Uint8Array} privateKey raw X25519
 * @param {Uint8Array} publicKey raw X25519
 * @returns {Promise<SealingPair>}
 */
export async function importSealingPair(privateKey, publicKey) {
  return /** @type {SealingPair} */ ({
    privateKey: await suite.DeserializePrivateKey(privateKey, false),
    publicKey: await suite.DeserializePublicKey(publicKey),
  });
}
