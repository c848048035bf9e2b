/**
 * A doorbell's trusted keys, from sources other than the relay.
 *
 * A doorbell's id is made of its identity key, so another key under that id is a forgery. The key
 * to which statements are sealed is the one whose words were compared at pairing, or else the one
 * that the doorbell's first signed note named; before that note, the relay's word is all there is.
 * @module
 */
import { comparedKeys, rememberKeys } from "./account.js";
import { deviceIdOf, unb64u } from "./vendor/protocol/encoding.js";
import { importP256 } from "./vendor/protocol/p256.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./household.js").Doorbell} Doorbell */

/** The relay names other keys for the doorbell than the doorbell's own. */
export class KeysDiffer extends Error {}

/**
 * Returns the ids under which the relay names a key that they aren't made of.
 * @param {Doorbell[]} doorbells
 */
export async function forgedOf(doorbells) {
  /** @type {Set<string>} */
  const forged = new Set();
  for (const { device, identity_key } of doorbells) {
    const id = await idOf(identity_key);
    if (id !== device) forged.add(device);
  }
  return forged;
}

/**
 * Returns a doorbell's keys: its own, as far as this browser can tell.
 * @param {Household} household
 * @param {string} device
 */
export function trustedKeys(household, device) {
  const doorbell = trueDoorbell(household, device);
  const compared = comparedKeys(device);
  if (compared === null) return doorbell;
  if (
    compared.identity_key !== doorbell.identity_key ||
    compared.sealing_key !== doorbell.sealing_key
  ) {
    throw new KeysDiffer("the relay names other keys for this doorbell");
  }
  return compared;
}

/**
 * Tells whether the key to seal to is the doorbell's own word, or was compared: before that, what is
 * sealed to it the relay may read, so nothing secret is.
 * @param {string} device
 */
export function isOwnStatement(device) {
  return comparedKeys(device) !== null;
}

/**
 * Throws KeysDiffer unless it was this doorbell that answered a newcomer, by the keys that are known of it.
 * @param {Household} household @param {string} device
 * @param {import("./vendor/protocol/pairing.js").Answered} answered
 */
export function checkAnswered(household, device, { answer, device: answering }) {
  const known = trustedKeys(household, device);
  if (answering !== device || answer.identity_key !== known.identity_key || answer.sealing_key !== known.sealing_key) {
    throw new KeysDiffer("another doorbell answered, or with other keys");
  }
}

/** The key by which a doorbell signs. @param {Household} household @param {string} device */
export function identityOf(household, device) {
  return unb64u(trueDoorbell(household, device).identity_key);
}

/**
 * Takes a doorbell's own word, in a note that it signed, for the key to seal to.
 * @param {Household} household @param {{device: string, sealing_key: string}} note
 */
export function keepSealingKey(household, { device, sealing_key }) {
  if (comparedKeys(device) !== null) return;
  const { identity_key } = trueDoorbell(household, device);
  rememberKeys(device, { identity_key, sealing_key });
}

/** @param {Household} household @param {string} device */
function trueDoorbell(household, device) {
  const doorbell = household.doorbell(device);
  if (doorbell === undefined) throw new Error("not one of your doorbells");
  if (household.forged.has(device)) throw new KeysDiffer("the relay names another key than this doorbell's");
  return doorbell;
}

/** @param {string} identityKey */
async function idOf(identityKey) {
  try {
    const spki = unb64u(identityKey);
    await importP256(spki);
    return await deviceIdOf(spki);
  } catch {
    return null;
  }
}
