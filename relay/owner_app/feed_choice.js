/**
 * What this browser follows of its district, for its service worker, which shows it.
 * @module
 */
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {{credential_id: string, district: string, name: string, groups: import("./feed_topics.js").Group[], since_ms: number}} FeedChoice `since_ms`: what was published before isn't told */

const STORED_AS = "worker:feed";

/** @returns {Promise<FeedChoice | undefined>} */
export function readFeedChoice() {
  return readKey(STORED_AS);
}

/** @param {FeedChoice | null} followed null: nothing any more */
export function writeFeedChoice(followed) {
  return followed === null ? deleteKey(STORED_AS) : writeKey(STORED_AS, followed);
}
