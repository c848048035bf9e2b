/**
 * Each setting of a doorbell that is an owner's: on which page it stands, how it is set, and whether
 * it is signed by the passkey or a preference of this browser's session key. No page here.
 * @module
 */
import { hasText, numberText, t } from "./i18n.js";
import { MAX_MASKS, MAX_ZONES } from "./vendor/protocol/decisions.js";
import { CONTACT_CHARS, MAX_CONTACT_BYTES } from "./vendor/protocol/door_notices.js";

/** @typedef {import("./vendor/protocol/documents.js").OwnerSettings} OwnerSettings */
/** @typedef {import("./vendor/protocol/documents.js").Preferences} Preferences */
/** @typedef {import("./vendor/protocol/documents.js").FileSettings} FileSettings */
/** @typedef {import("./vendor/protocol/documents.js").SettingKey} SettingKey */
/** @typedef {keyof Preferences} PreferenceKey */
/** @typedef {{kind: "switch"} | {kind: "text", most: number, bytes?: number} | {kind: "cell"} | {kind: "drawn"} | {kind: "choice", of: (string | number)[]} | {kind: "range", from: number, to: number, step: number}} Field */

/** Signed by the passkey. @type {Record<SettingKey, Field>} */
export const SIGNED = {
  is_opted_in: { kind: "switch" },
  has_reminder: { kind: "switch" },
  cell: { kind: "cell" },
  masks: { kind: "drawn" },
  is_motion_on: { kind: "switch" },
  zones: { kind: "drawn" },
  sensitivity: { kind: "range", from: 1, to: 10, step: 1 },
  min_size_pmyr: { kind: "choice", of: [10, 20, 40, 100, 200, 500, 1000] },
  min_time_ms: { kind: "choice", of: [0, 300, 500, 1000, 2000, 5000, 10_000] },
  pre_roll_ms: { kind: "range", from: 0, to: 30_000, step: 1000 },
  post_roll_ms: { kind: "range", from: 1000, to: 120_000, step: 1000 },
  longest_ms: { kind: "range", from: 15_000, to: 120_000, step: 5000 },
  keep_days: { kind: "choice", of: [1, 3, 7, 14, 30, 60, 90, 180] },
  is_sound_in_live_view: { kind: "switch" },
  is_sound_in_clips: { kind: "switch" },
  is_microphone_off: { kind: "switch" },
  gaps_reported: { kind: "choice", of: [0, 1, 3, 10, 30] },
  notice_contact: { kind: "text", most: CONTACT_CHARS, bytes: MAX_CONTACT_BYTES },
};

/** Set by any browser of an owner: they widen nothing. @type {Record<PreferenceKey, Field>} */
export const PREFERRED = {
  name: { kind: "text", most: 60 },
  chime_ms: { kind: "choice", of: [0, 100, 200, 300, 500] },
  volume_percent: { kind: "range", from: 10, to: 100, step: 10 },
  light_percent: { kind: "range", from: 5, to: 100, step: 5 },
  language: { kind: "choice", of: ["en", "sv"] },
  reply_after_s: { kind: "choice", of: [0, 10, 20, 30, 60, 120] },
  metering: { kind: "choice", of: ["faces", "centre", "average"] },
  backlight: { kind: "choice", of: ["auto", "shadows", "off"] },
};

/**
 * The short pages of a group, each with what is signed there and what isn't.
 * @typedef {{name: string, signed?: SettingKey[], preferred?: PreferenceKey[]}} ShortPage
 */
/** @type {Record<"doorbell" | "camera" | "police" | "data", ShortPage[]>} */
export const SHORT_PAGES = {
  doorbell: [
    { name: "name", preferred: ["name"] },
    { name: "sounds", preferred: ["chime_ms", "volume_percent", "light_percent", "language"] },
    { name: "answer", preferred: ["reply_after_s"] },
    { name: "length", signed: ["pre_roll_ms", "post_roll_ms", "longest_ms"] },
    { name: "keep", signed: ["keep_days"] },
    { name: "place", signed: ["cell"] },
    { name: "gaps", signed: ["gaps_reported"] },
  ],
  camera: [
    { name: "zones", signed: ["masks", "zones", "is_motion_on", "sensitivity", "min_size_pmyr", "min_time_ms"] },
    { name: "sound", signed: ["is_sound_in_live_view", "is_sound_in_clips", "is_microphone_off"] },
    { name: "picture", preferred: ["metering", "backlight"] },
    { name: "notice", signed: ["notice_contact"] },
  ],
  police: [{ name: "asking", signed: ["is_opted_in", "has_reminder"] }, { name: "hidden" }, { name: "holds" }],
  data: [{ name: "paper" }, { name: "export" }, { name: "advanced" }],
};

/** Says a setting's value. @param {SettingKey | PreferenceKey} key @param {unknown} value undefined: it isn't known here */
export function valueText(key, value) {
  if (key === "masks" || key === "zones") return countText(key, Array.isArray(value) ? value.length : 0);
  if (value === undefined || value === null) return t("setting.unknown");
  if (typeof value === "boolean") return t(value ? "settings.on" : "settings.off");
  const own = `setting.${key}.is.${value}`;
  if (hasText(own)) return t(own);
  if (key === "min_size_pmyr") return t("setting.percent_of_picture", { count: numberText(Number(value) / 100) });
  if (key === "chime_ms") return t("setting.milliseconds", { count: Number(value) });
  if (key.endsWith("_ms")) return t("setting.seconds", { count: numberText(Number(value) / 1000) });
  if (key.endsWith("_s")) return t("setting.seconds", { count: Number(value) });
  if (key.endsWith("_percent")) return t("setting.percent", { count: Number(value) });
  if (key === "keep_days") return t("setting.days", { count: Number(value) });
  return value === "" ? t("setting.none") : String(value);
}

/** @param {"masks" | "zones"} key @param {number} count */
function countText(key, count) {
  if (count === 0) return t(`setting.${key}.none`);
  return t(`setting.${key}.count`, { count, most: key === "masks" ? MAX_MASKS : MAX_ZONES });
}
