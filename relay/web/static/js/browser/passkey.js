/**
 * WebAuthn in the browser: creates passkeys, signs in, and signs one document.
 *
 * The JSON shapes are those of Web Authentication Level 3 (RegistrationResponseJSON and so on).
 * A demo passkey, where the reader chose one, takes the authenticator's place.
 * @module
 */
import { b64u, unb64u } from "../protocol/encoding.js";
import { challenge } from "../protocol/passkeys.js";
import { demoAssertion, demoRegistration, findDemoPasskey } from "./demo_passkey.js";

/** @typedef {import("../protocol/documents.js").Assertion} Assertion */
/** @typedef {any} OptionsJson as the relay's library makes them; read field by field below */

/** The person closed the passkey prompt, or the device has no fitting passkey. */
export class PasskeyDeclined extends Error {
  /** Pages that don't load this know it by that. @override */
  name = "PasskeyDeclined";
}

/** Tells whether this browser can make and use passkeys by itself. */
export async function hasAuthenticator() {
  if (!("PublicKeyCredential" in globalThis)) return false;
  return PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
}

/**
 * Makes a passkey; returns a RegistrationResponseJSON.
 * @param {OptionsJson} options PublicKeyCredentialCreationOptionsJSON
 * @param {{isDemo?: boolean}} [choice]
 */
export async function createPasskey(options, { isDemo = false } = {}) {
  if (isDemo) return demoRegistration(options);
  const credential = await ask(() =>
    navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: unb64u(options.challenge),
        user: { ...options.user, id: unb64u(options.user.id) },
        excludeCredentials: (options.excludeCredentials ?? []).map(withRawId),
      },
    }),
  );
  const response = /** @type {AuthenticatorAttestationResponse} */ (credential.response);
  return {
    ...credentialJson(credential),
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      attestationObject: encode(response.attestationObject),
      publicKey: encode(response.getPublicKey?.() ?? new ArrayBuffer(0)),
      transports: response.getTransports?.() ?? [],
    },
  };
}

export const LOGIN_TAG = "doorward/login/v1";

/**
 * Signs in with a passkey; returns an AuthenticationResponseJSON. What is signed is made of the
 * relay's challenge: signed as it is, a challenge of the relay's choice could be a statement.
 * @param {OptionsJson} options PublicKeyCredentialRequestOptionsJSON
 * @param {{isDemo?: boolean}} [choice]
 */
export async function passkeyLogin(options, choice) {
  const own = b64u(await challenge(LOGIN_TAG, String(options.challenge)));
  return usePasskey({ ...options, challenge: own }, choice);
}

/**
 * Signs a challenge that was made here; returns an AuthenticationResponseJSON.
 * @param {OptionsJson} options PublicKeyCredentialRequestOptionsJSON
 * @param {{isDemo?: boolean}} [choice]
 */
async function usePasskey(options, { isDemo = false } = {}) {
  if (isDemo) return demoAssertion(options.challenge);
  const credential = await ask(() =>
    navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: unb64u(options.challenge),
        allowCredentials: (options.allowCredentials ?? []).map(withRawId),
      },
    }),
  );
  const response = /** @type {AuthenticatorAssertionResponse} */ (credential.response);
  return {
    ...credentialJson(credential),
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      authenticatorData: encode(response.authenticatorData),
      signature: encode(response.signature),
      userHandle: response.userHandle ? encode(response.userHandle) : undefined,
    },
  };
}

/**
 * Signs a canonical document with one passkey.
 * @param {{tag: string, document: string, credentialId: string, rpId: string}} what
 * @returns {Promise<Assertion>}
 */
export async function signDocument({ tag, document, credentialId, rpId }) {
  const options = {
    challenge: b64u(await challenge(tag, document)),
    rpId,
    allowCredentials: [{ id: credentialId, type: "public-key" }],
    userVerification: "required",
  };
  const demo = await findDemoPasskey();
  const isDemo = demo?.credential_id === credentialId;
  const { id, response } = await usePasskey(options, { isDemo });
  return {
    credential_id: id,
    authenticator_data: response.authenticatorData,
    client_data_json: response.clientDataJSON,
    signature: response.signature,
  };
}

/**
 * @param {() => Promise<Credential | null>} prompt
 * @returns {Promise<PublicKeyCredential>}
 */
async function ask(prompt) {
  if (!("PublicKeyCredential" in globalThis)) {
    throw new PasskeyDeclined("this browser has no passkeys");
  }
  try {
    const credential = await prompt();
    if (credential === null) throw new PasskeyDeclined("no passkey was chosen");
    return /** @type {PublicKeyCredential} */ (credential);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotAllowedError") {
      throw new PasskeyDeclined("the passkey prompt was closed");
    }
    throw error;
  }
}

/** @param {PublicKeyCredential} credential */
function credentialJson(credential) {
  return {
    id: credential.id,
    rawId: credential.id,
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: {},
  };
}

/** @param {{id: string}} descriptor */
function withRawId(descriptor) {
  return { ...descriptor, type: /** @type {const} */ ("public-key"), id: unb64u(descriptor.id) };
}

/** @param {ArrayBuffer} buffer */
function encode(buffer) {
  return b64u(new Uint8Array(buffer));
}
