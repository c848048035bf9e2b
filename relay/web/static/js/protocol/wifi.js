/**
 * An owner's Wi-Fi code for the doorbell's camera, as in firmware/protocol/wifi.py.
 *
 * The network is sealed to one doorbell, in a form of fixed size, before anything is signed.
 * @module
 */
import { WireError, b64u, canonical, join, text, unb64u, unhex, utf8 } from "./encoding.js";
import { challenge } from "./passkeys.js";
import { sealTo } from "./sealing.js";

/** @typedef {import("./documents.js").Assertion} Assertion */
/** @typedef {import("./encoding.js").Bytes} Bytes */
/** @typedef {{ssid: string, password: string, security: "wpa2" | "wpa3", country: string, isHidden: boolean}} WifiWish as a person names a network */
/** @typedef {"ssid" | "no_password" | "password" | "country"} WifiProblem */

const PREFIX = "DWW1:";
export const WIFI_TAG = "doorward/wifi/v1";
const SEAL_INFO = "doorward/sealed-wifi/v1\0";
/** How long a code counts once it is signed. */
export const CODE_LIFE_MS = 10 * 60 * 1000;
const ID_BYTES = 16;
const MAX_SSID_BYTES = 32;
const MOST_PASSWORD = 63;
const KEY_BITS = 256;
const KEY_ROUNDS = 4096;
const RP_HASH_BYTES = 32;
const WPA3 = 1;
const HIDDEN = 2;
const CHALLENGE_MARK = "\u0001";
const ORIGIN_MARK = "\u0002";
const USUAL_CLIENT_DATA = `{"type":"webauthn.get","challenge":"${CHALLENGE_MARK}","origin":"${ORIGIN_MARK}","crossOrigin":false}`;

/**
 * Says what is wrong with a network as a person named it, or null.
 * @param {WifiWish} wish
 * @returns {WifiProblem | null}
 */
export function wifiProblem({ ssid, password, security, country }) {
  const size = utf8(ssid).length;
  if (size < 1 || size > MAX_SSID_BYTES) return "ssid";
  if (password === "") return "no_password";
  const isKey = security === "wpa2" && /^[0-9a-fA-F]{64}$/.test(password);
  if (!isKey && !/^[ -~]{8,63}$/.test(password)) return "password";
  return /^[A-Z]{2}$/.test(country) ? null : "country";
}

/**
 * Seals a network to one doorbell.
 * @param {WifiWish} wish
 * @param {{device: string, sealingKey: string, expiresMs: number}} to
 * @returns {Promise<Bytes>}
 */
export async function sealWifi(wish, { device, sealingKey, expiresMs }) {
  const plain = await wifiPlain(wish, expiresMs, crypto.getRandomValues(new Uint8Array(ID_BYTES)));
  return sealTo(unb64u(sealingKey), plain, utf8(SEAL_INFO + device));
}

/** What the owner's passkey signs under WIFI_TAG. @param {string} device @param {Uint8Array} sealed */
export function wifiDocument(device, sealed) {
  return canonical({ device, sealed: b64u(sealed) });
}

/**
 * Returns the text of the QR code.
 * @param {string} device @param {Uint8Array} sealed @param {Assertion} assertion @param {string} origin
 */
export async function wifiCode(device, sealed, assertion, origin) {
  const signed = b64u(await challenge(WIFI_TAG, wifiDocument(device, sealed)));
  const clientData = text(unb64u(assertion.client_data_json));
  if (clientData.includes(CHALLENGE_MARK) || clientData.includes(ORIGIN_MARK)) {
    throw new WireError("the passkey's client data has a control character");
  }
  const template = clientData.replaceAll(signed, CHALLENGE_MARK).replaceAll(origin, ORIGIN_MARK);
  const rest = unb64u(assertion.authenticator_data).subarray(RP_HASH_BYTES);
  const said = utf8(template === USUAL_CLIENT_DATA ? "" : template);
  if (rest.length > 255 || said.length > 255) {
    throw new WireError("this passkey says too much for a QR code; use another one");
  }
  return PREFIX + b64u(join(sealed, Uint8Array.of(rest.length), rest, Uint8Array.of(said.length), said, unb64u(assertion.signature)));
}

/**
 * The bytes that are sealed.
 * @param {WifiWish} wish @param {number} expiresMs @param {Uint8Array} id
 * @returns {Promise<Bytes>}
 */
export async function wifiPlain(wish, expiresMs, id) {
  const problem = wifiProblem(wish);
  if (problem !== null) throw new WireError("a network that can't be joined ({problem})", { problem });
  const { ssid, password, security, country, isHidden } = wish;
  const ends = new DataView(new ArrayBuffer(4));
  ends.setUint32(0, Math.floor(expiresMs / 1000));
  const isWpa3 = security === "wpa3";
  const key = isWpa3 ? utf8(password) : await derivedKey(ssid, password);
  const flags = (isWpa3 ? WPA3 : 0) | (isHidden ? HIDDEN : 0);
  return join(
    id,
    new Uint8Array(ends.buffer),
    utf8(country),
    Uint8Array.of(flags),
    padded(utf8(ssid), MAX_SSID_BYTES),
    padded(key, MOST_PASSWORD),
  );
}

/**
 * WPA2's pre-shared key (IEEE 802.11i, H.4), which tells nothing of the words.
 * @param {string} ssid @param {string} password
 */
async function derivedKey(ssid, password) {
  if (password.length === KEY_BITS / 4) return unhex(password.toLowerCase());
  const secret = await crypto.subtle.importKey("raw", utf8(password), "PBKDF2", false, ["deriveBits"]);
  const stretch = { name: "PBKDF2", hash: "SHA-1", salt: utf8(ssid), iterations: KEY_ROUNDS };
  return new Uint8Array(await crypto.subtle.deriveBits(stretch, secret, KEY_BITS));
}

/** @param {Uint8Array} data @param {number} size */
function padded(data, size) {
  const field = new Uint8Array(1 + size);
  field[0] = data.length;
  field.set(data, 1);
  return field;
}
