/**
 * What this browser follows of its district, for its service worker, which shows it.
 * @module
 */
import { FEED_KEYS, feedKey } from "./feed_place.js";
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {{credential_id: string, district: string, name: string, groups: import("./feed_topics.js").Group[], since_ms: number}} FeedChoice `since_ms`: what was published before isn't told */

/** What is followed at a relay; that of an earlier version is the first one's that asks. @param {string} relay @returns {Promise<FeedChoice | undefined>} */
export async function readFeedChoice(relay) {
  /** @type {FeedChoice | undefined} */
  const before = await readKey(FEED_KEYS.choice);
  if (before !== undefined) {
    await writeFeedChoice(relay, before);
    await deleteKey(FEED_KEYS.choice);
  }
  return readKey(feedKey("choice", relay));
}

/** @param {string} relay @param {FeedChoice | null} choice null: nothing any more */
export function writeFeedChoice(relay, choice) {
  const key = feedKey("choice", relay);
  return choice === null ? deleteKey(key) : writeKey(key, choice);
}
