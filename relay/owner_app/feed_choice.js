/**
 * What this browser follows of its district, for its service worker, which shows it.
 * @module
 */
import { FEED_KEYS } from "./feed_place.js";
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {{credential_id: string, district: string, name: string, groups: import("./feed_topics.js").Group[], since_ms: number}} FeedChoice `since_ms`: what was published before isn't told */

/** @returns {Promise<FeedChoice | undefined>} */
export function readFeedChoice() {
  return readKey(FEED_KEYS.choice);
}

/** @param {FeedChoice | null} choice null: nothing any more */
export function writeFeedChoice(choice) {
  return choice === null ? deleteKey(FEED_KEYS.choice) : writeKey(FEED_KEYS.choice, choice);
}
