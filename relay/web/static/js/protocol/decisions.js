/**
 * An owner's decisions besides grants, as in firmware/protocol/decisions.py: their limits, and
 * which wait for confirmation at the doorbell. The terms themselves are types in documents.js;
 * `statementText` in grants.js makes them a statement.
 * @module
 */
import { canonical } from "./encoding.js";
import { isText } from "./plain_text.js";

/** @typedef {import("./documents.js").IdentityGiven} IdentityGiven */
/** @typedef {import("./documents.js").MaskPolygon} MaskPolygon */
/** @typedef {import("./documents.js").OwnerSettings} OwnerSettings */

/** How long a hold keeps a time (R12), and how long that time may be. */
export const MAX_HOLD_MS = 14 * 24 * 3600 * 1000;
export const MAX_HOLD_WINDOW_MS = 24 * 3600 * 1000;
export const MAX_HOLDS = 10;
/** How long a deletion can be taken back, and how many recordings one statement names. */
export const UNDO_MS = 24 * 3600 * 1000;
export const MAX_NAMED_CLIPS = 32;

export const MAX_MASKS = 4;
export const MIN_CORNERS = 3;
export const MAX_CORNERS = 8;
/** Corners are in thousandths of the picture, from the top left. */
export const FULL = 1000;

/** The longest that each field of an identity may be. */
export const IDENTITY_CHARS = { name: 200, address: 300, contact: 200 };

/** Tells whether this is what owners can give of themselves: texts that can't pass for other text. @param {IdentityGiven} identity */
export function isIdentity({ name, address, contact, ...others }) {
  const { name: names, address: addresses, contact: contacts } = IDENTITY_CHARS;
  const isAll = isText(name, names) && isText(address, addresses) && isText(contact, contacts);
  return isAll && Object.keys(others).length === 0;
}

/** @type {IdentityGiven} nothing of themselves: what isn't ticked isn't given (R8) */
export const NO_IDENTITY = { name: "", address: "", contact: "" };

/** @type {OwnerSettings} what counts before an owner has set anything here; never sent like this */
export const NO_SETTINGS = { revision: 0, name: "", is_opted_in: false, has_reminder: false, masks: [] };

/**
 * Returns whole settings that take the place of those before.
 * @param {OwnerSettings | null} before @param {Partial<Omit<OwnerSettings, "revision">>} changes
 * @returns {OwnerSettings}
 */
export function nextSettings(before, changes) {
  const { revision, ...kept } = before ?? NO_SETTINGS;
  return { ...kept, ...changes, revision: revision + 1 };
}

/**
 * Tells whether a mask that was there isn't there any more: then it waits for the doorbell's own page.
 * @param {OwnerSettings | null} before @param {OwnerSettings} after
 */
export function widens(before, after) {
  const kept = new Set(after.masks.map(canonical));
  return (before?.masks ?? []).some((mask) => !kept.has(canonical(mask)));
}

/** Tells whether a doorbell takes this as a mask. @param {MaskPolygon} polygon */
export function isMask(polygon) {
  const isPlace = (/** @type {number} */ at) => Number.isInteger(at) && at >= 0 && at <= FULL;
  return (
    polygon.length >= MIN_CORNERS &&
    polygon.length <= MAX_CORNERS &&
    polygon.every((corner) => corner.length === 2 && corner.every(isPlace))
  );
}
