/**
 * Posts of agencies in the neighbours' feed, as in firmware/protocol/feed_posts.py.
 * @module
 */
import { WireError, canonical, parseCanonical } from "./encoding.js";

/**
 * @typedef {{v: 1, domain: string, id: string, agency: string, officer_id: string,
 *   officer_name: string, kind: string, cell: string, hour_ms: number, text: string,
 *   created_ms: number, cosigner_id?: string}} AgencyPost
 */

export const POST_TAG = "doorward/feed-post/v1";
export const POST_COSIGN_TAG = "doorward/feed-post-cosign/v1";

/**
 * Returns the canonical text of a post.
 * @param {Omit<AgencyPost, "v" | "domain">} what
 */
export function postText(what) {
  return canonical({ v: 1, domain: POST_TAG, ...what });
}

/** Returns a post of which only tag and version are checked. @param {string} text @returns {AgencyPost} */
export function parsePostUnverified(text) {
  const post = /** @type {AgencyPost} */ (parseCanonical(text));
  if (post.domain !== POST_TAG || post.v !== 1) throw new WireError("not a post");
  return post;
}
