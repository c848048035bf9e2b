/**
 * What this browser keeps of neighbours until one signs out: where one's door is, as it was told for
 * the filter, and what the relay answered last.
 * @module
 */
import { deleteKey } from "./vendor/browser/key_store.js";

/** Under which names the relay's last answers are kept; an earlier version kept those of one relay under these. */
export const FEED_KEYS = /** @type {const} */ ({ districts: "feed:districts", membership: "feed:membership", posts: "feed:posts", choice: "feed:choice" });

/** The name for one relay's: somebody may be a neighbour at another one too. @param {keyof typeof FEED_KEYS} name @param {string} relay */
export const feedKey = (name, relay) => `${FEED_KEYS[name]}@${relay}`;

/** Where an earlier version kept it, which knew one relay. @param {string} credentialId */
const before = (credentialId) => `doorward.feed-place.${credentialId}`;
/** @param {string} credentialId @param {string} relay */
const storedAs = (credentialId, relay) => `${before(credentialId)}@${relay}`;

/** @param {string} credentialId @param {string} relay @returns {string | null} a cell */
export function placeOf(credentialId, relay) {
  const kept = localStorage.getItem(before(credentialId));
  if (kept !== null) {
    rememberPlace(credentialId, relay, kept);
    localStorage.removeItem(before(credentialId));
  }
  return localStorage.getItem(storedAs(credentialId, relay));
}

/** @param {string} credentialId @param {string} relay @param {string} cell */
export function rememberPlace(credentialId, relay, cell) {
  localStorage.setItem(storedAs(credentialId, relay), cell);
}

/** Forgets all of it. @param {string} credentialId @param {string} relay */
export async function forgetFeed(credentialId, relay) {
  localStorage.removeItem(before(credentialId));
  localStorage.removeItem(storedAs(credentialId, relay));
  const names = /** @type {(keyof typeof FEED_KEYS)[]} */ (Object.keys(FEED_KEYS));
  await Promise.all(names.flatMap((name) => [deleteKey(FEED_KEYS[name]), deleteKey(feedKey(name, relay))]));
}
