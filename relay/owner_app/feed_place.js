/**
 * What this browser keeps of neighbours until one signs out: where one's door is, as it was told for
 * the filter, and what the relay answered last.
 * @module
 */
import { deleteKey } from "./vendor/browser/key_store.js";

/** Under which names the relay's last answers are kept. */
export const FEED_KEYS = /** @type {const} */ ({ districts: "feed:districts", membership: "feed:membership", posts: "feed:posts", choice: "feed:choice" });

/** @param {string} credentialId */
const storedAs = (credentialId) => `doorward.feed-place.${credentialId}`;

/** @param {string} credentialId @returns {string | null} a cell */
export function placeOf(credentialId) {
  return localStorage.getItem(storedAs(credentialId));
}

/** @param {string} credentialId @param {string} cell */
export function rememberPlace(credentialId, cell) {
  localStorage.setItem(storedAs(credentialId), cell);
}

/** Forgets all of it. @param {string} credentialId */
export async function forgetFeed(credentialId) {
  localStorage.removeItem(storedAs(credentialId));
  await Promise.all(Object.values(FEED_KEYS).map((key) => deleteKey(key)));
}
