/**
 * The check that a passkey named by the relay is the one that was just made or used here.
 *
 * Its public half goes into the code that a doorbell reads. Taken from the relay unchecked it could
 * be the relay's own: the relay would be the owner, and both sides' words would be the same.
 * @module
 */
import { LOGIN_TAG } from "./vendor/browser/passkey.js";
import { challenge, checkAssertion } from "./vendor/protocol/passkeys.js";

/** @typedef {import("./account.js").Owner} Owner */
/** @typedef {any} CredentialJson RegistrationResponseJSON or AuthenticationResponseJSON */

/** The relay names another passkey than the owner's. */
export class NotOwnPasskey extends Error {
  /** @override */
  name = "NotOwnPasskey";
}

/**
 * Returns the owner, if the relay names the passkey that was made just now.
 * @param {Owner} owner by the relay's word
 * @param {CredentialJson} credential what `createPasskey` returned
 * @param {string} rpId for which site it was made
 */
export function ownerOfMade(owner, credential, rpId) {
  require(owner.credential_id === credential.id, "its id");
  require(owner.public_key === credential.response.publicKey, "its public key");
  require(owner.rp_id === rpId && owner.origin === location.origin, "its site");
  return owner;
}

/**
 * Returns the owner, if the login was truly signed by the passkey that the relay names. Nobody has
 * the private half of another key under which the same signature holds.
 * @param {Owner} owner by the relay's word
 * @param {CredentialJson} credential what `passkeyLogin` returned
 * @param {string} given the relay's challenge
 */
export async function ownerOfUsed(owner, credential, given) {
  const { clientDataJSON, authenticatorData, signature } = credential.response;
  const assertion = {
    credential_id: credential.id,
    authenticator_data: authenticatorData,
    client_data_json: clientDataJSON,
    signature,
  };
  require(owner.origin === location.origin, "its site");
  try {
    await checkAssertion(assertion, owner, await challenge(LOGIN_TAG, given));
  } catch (error) {
    throw new NotOwnPasskey(`the relay names another passkey than yours: ${error}`);
  }
  return owner;
}

/** @param {boolean} condition @param {string} what */
function require(condition, what) {
  if (!condition) throw new NotOwnPasskey(`the relay names another passkey than yours: ${what} differs`);
}
