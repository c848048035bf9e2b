/**
 * What one browser, guest or player may do at a doorbell, and until when, as in
 * firmware/protocol/rights.py. The doorbell alone enforces it.
 * @module
 */

/** @typedef {import("./documents.js").What} What */
/** @typedef {import("./documents.js").Right} Right */
/** @typedef {import("./documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("./documents.js").GiveRight} GiveRight */

export const DAY_MS = 24 * 3600 * 1000;
/** How far an owner's browser or a player is renewed without a confirmation at the doorbell. */
export const SELF_RENEWED_MS = 30 * DAY_MS;
/** The longest right. */
export const MAX_RIGHT_MS = 400 * DAY_MS;
const CLOCK_TOLERANCE_MS = 60 * 60 * 1000;

/** @type {What[]} what an owner's own browser may do */
export const OWNERS_WHAT = ["history", "live", "rings"];

/** The right of an owner's own browser for 30 days. @param {number} nowMs @returns {Right} */
export function ownersRight(nowMs) {
  return { holder: "owner", what: [...OWNERS_WHAT], from_ms: 0, until_ms: nowMs + SELF_RENEWED_MS };
}

/**
 * The terms that give a right.
 * @param {BrowserKeys} browser @param {Right} right
 * @param {{commitment: string, pairing_id: string} | null} pairing null: pasted keys, or a right that is changed
 * @returns {GiveRight}
 */
export function givenRight(browser, { holder, what, from_ms, until_ms }, pairing) {
  const { commitment, pairing_id } = pairing ?? { commitment: null, pairing_id: null };
  return { kind: "give_right", browser, commitment, pairing_id, holder, what: [...new Set(what)].sort(), from_ms, until_ms };
}

/**
 * Tells whether the second right lets its holder do more than the first: then the doorbell asks at the door.
 * @param {Right} before @param {Right} after @param {number} nowMs
 */
export function isWider(before, after, nowMs) {
  if (before.holder !== after.holder || after.what.some((one) => !before.what.includes(one))) return true;
  if (after.from_ms < before.from_ms) return true;
  const renewedMs = after.holder === "guest" ? 0 : nowMs + SELF_RENEWED_MS + CLOCK_TOLERANCE_MS;
  return after.until_ms > Math.max(renewedMs, before.until_ms);
}
