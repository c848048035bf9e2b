/**
 * The demo passkey: a key in this page that acts as an authenticator, for trials.
 *
 * It proves nothing about a person, so it says what it is in its AAGUID ("doorward-demo-pk"),
 * and a relay refuses it unless it was started for a demo.
 * @module
 */
import { b64u, join, sha256, utf8 } from "../protocol/encoding.js";
import { derSignature } from "../protocol/p256.js";
import { readKey, writeKey } from "./key_store.js";

/** @typedef {{credential_id: string, rp_id: string, user_handle: string, key: CryptoKey}} DemoPasskey */

const STORED_AS = "demo-passkey";
const AAGUID = utf8("doorward-demo-pk");
const FLAGS_PRESENT_AND_VERIFIED = 0x05;
const FLAG_ATTESTED = 0x40;

/** @returns {Promise<DemoPasskey | undefined>} this browser's demo passkey */
export function findDemoPasskey() {
  return readKey(STORED_AS);
}

/**
 * Makes a demo passkey; returns a RegistrationResponseJSON with attestation "none".
 * @param {any} options PublicKeyCredentialCreationOptionsJSON
 */
export async function demoRegistration(options) {
  const pair = await crypto.subtle.generateKey(
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign", "verify"],
  );
  const id = crypto.getRandomValues(new Uint8Array(16));
  const rpId = options.rp.id ?? location.hostname;
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const data = join(
    await authenticatorData(rpId, FLAGS_PRESENT_AND_VERIFIED | FLAG_ATTESTED),
    AAGUID,
    Uint8Array.of(0, id.length),
    id,
    coseKey(point),
  );
  /** @type {DemoPasskey} */
  const passkey = {
    credential_id: b64u(id),
    rp_id: rpId,
    user_handle: options.user.id,
    key: pair.privateKey,
  };
  await writeKey(STORED_AS, passkey);
  return {
    ...credentialJson(passkey),
    response: {
      clientDataJSON: b64u(clientData("webauthn.create", options.challenge)),
      attestationObject: b64u(attestationObject(data)),
      publicKey: b64u(new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey))),
      transports: ["internal"],
    },
  };
}

/**
 * Signs a challenge with the demo passkey; returns an AuthenticationResponseJSON.
 * @param {string} challenge base64url
 */
export async function demoAssertion(challenge) {
  const passkey = await findDemoPasskey();
  if (passkey === undefined) throw new Error("this browser has no demo passkey");
  const data = await authenticatorData(passkey.rp_id, FLAGS_PRESENT_AND_VERIFIED);
  const client = clientData("webauthn.get", challenge);
  const es256 = { name: "ECDSA", hash: "SHA-256" };
  const signed = join(data, await sha256(client));
  const raw = new Uint8Array(await crypto.subtle.sign(es256, passkey.key, signed));
  return {
    ...credentialJson(passkey),
    response: {
      clientDataJSON: b64u(client),
      authenticatorData: b64u(data),
      signature: b64u(derSignature(raw)),
      userHandle: passkey.user_handle,
    },
  };
}

/** @param {DemoPasskey} passkey */
function credentialJson(passkey) {
  return {
    id: passkey.credential_id,
    rawId: passkey.credential_id,
    type: "public-key",
    authenticatorAttachment: "platform",
    clientExtensionResults: {},
  };
}

/** @param {string} rpId @param {number} flags */
async function authenticatorData(rpId, flags) {
  return join(await sha256(utf8(rpId)), Uint8Array.of(flags, 0, 0, 0, 0));
}

/** @param {string} type @param {string} challenge */
function clientData(type, challenge) {
  const { origin } = location;
  return utf8(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
}

/**
 * CBOR of a COSE ES256 key (RFC 9053): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
 * @param {Uint8Array} point 0x04 ‖ x ‖ y
 */
function coseKey(point) {
  const x = point.subarray(1, 33);
  const y = point.subarray(33, 65);
  const head = Uint8Array.of(0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20);
  return join(head, x, Uint8Array.of(0x22, 0x58, 0x20), y);
}

/**
 * CBOR of {"fmt": "none", "attStmt": {}, "authData": data}.
 * @param {Uint8Array} data
 */
function attestationObject(data) {
  return join(
    Uint8Array.of(0xa3, 0x63),
    utf8("fmt"),
    Uint8Array.of(0x64),
    utf8("none"),
    Uint8Array.of(0x67),
    utf8("attStmt"),
    Uint8Array.of(0xa0, 0x68),
    utf8("authData"),
    Uint8Array.of(0x58, data.length),
    data,
  );
}
