/**
 * Fields for a time of the day, as quiet hours and digests have them.
 * @module
 */
import { h } from "../dom.js";
import { t } from "../i18n.js";

/** @param {string} key @param {HTMLElement} field */
export function labelled(key, field) {
  return h("div", {}, h("label", { for: field.id }, t(key)), field);
}

/** @param {string} id @param {number} minute of the day */
export function timeField(id, minute) {
  const digits = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return h("input", { type: "time", id, required: true, value: `${digits(Math.floor(minute / 60))}:${digits(minute % 60)}` });
}

/** @param {HTMLInputElement} field */
export function minuteOf(field) {
  const [hours, minutes] = field.value.split(":").map(Number);
  return hours * 60 + minutes;
}

export function zoneHere() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
