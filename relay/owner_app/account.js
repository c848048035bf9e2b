/**
 * Who is signed in in this browser, and what this browser remembers for them.
 *
 * The note key lives in IndexedDB and can't be read out. A doorbell's keys are kept from the
 * pairing whose words the owner compared, so that the relay can't swap them later.
 * @module
 */
import { readKey, writeKey } from "./vendor/browser/key_store.js";
import { b64u } from "./vendor/protocol/encoding.js";
import { newSealingPair, rawPublicKey } from "./vendor/protocol/sealing.js";

/** @typedef {import("./vendor/protocol/documents.js").PasskeyKey} PasskeyKey */
/** @typedef {import("./vendor/protocol/documents.js").OwnerKeys} OwnerKeys */
/** @typedef {PasskeyKey & {name: string}} Owner */
/** @typedef {{identity_key: string, sealing_key: string}} DoorbellKeys */
/** @typedef {{digest: string, device: string, clip_ids: string[], signed_ms: number}} SentGrant */

const ACCOUNT = "doorward.account";

/** @param {string} kind @param {string} id */
const remembered = (kind, id) => `doorward.${kind}.${id}`;

/** @returns {{token: string, owner: Owner} | null} */
export function loadAccount() {
  return readJson(ACCOUNT);
}

/** @param {{token: string, owner: Owner}} account */
export function saveAccount(account) {
  localStorage.setItem(ACCOUNT, JSON.stringify(account));
}

export function forgetAccount() {
  localStorage.removeItem(ACCOUNT);
}

/**
 * Returns the pair that opens this owner's notes in this browser, if there is one.
 * @param {Owner} owner
 * @returns {Promise<import("./vendor/protocol/sealing.js").SealingPair | undefined>}
 */
export function findNoteKey(owner) {
  return readKey(`note-key:${owner.credential_id}`);
}

/**
 * Returns all public keys of the owner; makes the note key on first use.
 * @param {Owner} owner
 * @returns {Promise<OwnerKeys>}
 */
export async function ownerKeys(owner) {
  let pair = await findNoteKey(owner);
  if (pair === undefined) {
    pair = await newSealingPair();
    await writeKey(`note-key:${owner.credential_id}`, {
      publicKey: pair.publicKey,
      privateKey: pair.privateKey,
    });
  }
  const { name, credential_id, public_key, rp_id, origin } = owner;
  const passkey = { credential_id, public_key, rp_id, origin };
  return { name, passkey, note_key: b64u(await rawPublicKey(pair.publicKey)) };
}

/** @param {string} device @returns {DoorbellKeys | null} the keys whose words were compared */
export function comparedKeys(device) {
  return readJson(remembered("doorbell", device));
}

/** @param {string} device @param {DoorbellKeys} keys */
export function rememberKeys(device, keys) {
  localStorage.setItem(remembered("doorbell", device), JSON.stringify(keys));
}

/** @param {string} requestId @returns {SentGrant | "refused" | null} */
export function decisionOn(requestId) {
  return readJson(remembered("decision", requestId));
}

/** @param {string} requestId @param {SentGrant | "refused" | null} decision */
export function rememberDecision(requestId, decision) {
  localStorage.setItem(remembered("decision", requestId), JSON.stringify(decision));
}

/** @param {string} key @returns {any} what was stored, or null; callers name the type */
function readJson(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
