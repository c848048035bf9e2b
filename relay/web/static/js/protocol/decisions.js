/**
 * An owner's decisions besides grants, as in firmware/protocol/decisions.py: their limits, and
 * which wait for confirmation at the doorbell. The terms themselves are types in documents.js;
 * `statementText` in grants.js makes them a statement.
 * @module
 */
import { canonical } from "./encoding.js";
import { isText } from "./plain_text.js";
import { covers } from "./polygons.js";

/** @typedef {import("./documents.js").IdentityGiven} IdentityGiven */
/** @typedef {import("./documents.js").MaskPolygon} MaskPolygon */
/** @typedef {import("./documents.js").OwnerSettings} OwnerSettings */
/** @typedef {import("./documents.js").FileSettings} FileSettings */
/** @typedef {import("./documents.js").SettingKey} SettingKey */

/** How long a hold keeps a time (R12), and how long that time may be. */
export const MAX_HOLD_MS = 14 * 24 * 3600 * 1000;
export const MAX_HOLD_WINDOW_MS = 24 * 3600 * 1000;
export const MAX_HOLDS = 10;
/** How long a deletion can be taken back, and how many recordings one statement names. */
export const UNDO_MS = 24 * 3600 * 1000;
export const MAX_NAMED_CLIPS = 32;

export const MAX_MASKS = 4;
export const MAX_ZONES = 4;
export const MAX_ZONE_NAME_CHARS = 24;
export const MIN_CORNERS = 3;
export const MAX_CORNERS = 8;
/** Corners are in thousandths of the picture, from the top left. */
export const FULL = 1000;
/** @type {MaskPolygon} */
const WHOLE = [[0, 0], [FULL, 0], [FULL, FULL], [0, FULL]];

/** As in firmware/protocol/setting_changes.py: a greater, or a smaller number records or keeps more. @type {SettingKey[]} */
const MORE = ["sensitivity", "pre_roll_ms", "post_roll_ms", "keep_days"];
/** @type {SettingKey[]} */
const LESS = ["min_size_pmyr", "min_time_ms"];
/** @type {SettingKey[]} */
const ON = ["is_opted_in", "is_motion_on", "is_sound_in_live_view", "is_sound_in_clips"];

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

/**
 * Returns whole settings that take the place of those before. Keys of a newer app stay in them;
 * null leaves a setting to the doorbell's own file again.
 * @param {OwnerSettings | null} before @param {Partial<Record<SettingKey, unknown>>} changes
 * @returns {OwnerSettings}
 */
export function nextSettings(before, changes) {
  const { revision, ...kept } = before ?? { revision: 0 };
  const all = Object.entries({ ...kept, ...changes }).filter(([, value]) => value !== null && value !== undefined);
  return { ...Object.fromEntries(all), revision: revision + 1 };
}

/** The value in force of a setting that isn't drawn. @param {OwnerSettings | null} settings @param {FileSettings | null} file @param {SettingKey} key */
export function inForce(settings, file, key) {
  return settings?.[key] ?? file?.settings[key];
}

/**
 * Returns the settings of `after` that differ from those in force.
 * @param {OwnerSettings | null} before @param {OwnerSettings} after @param {FileSettings | null} file
 * @returns {SettingKey[]}
 */
export function changed(before, after, file) {
  const keys = /** @type {SettingKey[]} */ ([...new Set([...Object.keys(before ?? {}), ...Object.keys(after)])]);
  return keys.filter((key) => {
    if (/** @type {string} */ (key) === "revision") return false;
    if (key === "masks") return canonical(before?.masks ?? []) !== canonical(after.masks ?? []);
    if (key === "zones") return canonical(before?.zones ?? null) !== canonical(after.zones ?? null);
    return inForce(before, file, key) !== inForce(after, file, key);
  });
}

/**
 * Returns the changed settings by which more is recorded, kept, heard or told: these wait for the
 * doorbell's own page. What the doorbell's file says must be known; else each change may.
 * @param {OwnerSettings | null} before @param {OwnerSettings} after @param {FileSettings | null} file
 */
export function widened(before, after, file) {
  return changed(before, after, file).filter((key) => isWider(key, before, after, file));
}

/** @param {SettingKey} key @param {OwnerSettings | null} before @param {OwnerSettings} after @param {FileSettings | null} file */
function isWider(key, before, after, file) {
  if (key === "masks") {
    const now = after.masks ?? [];
    return !(before?.masks ?? []).every((mask) => now.some((one) => covers(one, mask)));
  }
  if (key === "zones") {
    const watched = before?.zones;
    if (watched === undefined && (file?.zone_count ?? 0) > 0) return true; // its outlines aren't told
    const old = watched?.length ? watched.map(({ corners }) => corners) : [WHOLE];
    const now = after.zones?.length ? after.zones.map(({ corners }) => corners) : [WHOLE];
    return !now.every((zone) => old.some((one) => covers(one, zone)));
  }
  const [was, is] = [inForce(before, file, key), inForce(after, file, key)];
  if (ON.includes(key)) return is === true;
  if (key === "is_microphone_off") return is === false;
  if (key === "cell" || key === "notice_contact") return is !== "";
  if (typeof was !== "number" || typeof is !== "number") return false;
  return (MORE.includes(key) && is > was) || (LESS.includes(key) && is < was);
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
