/**
 * Quiet hours by this browser: only for what the doorbell can't hold back, since it is silent.
 * @module
 */

/** @typedef {import("../vendor/protocol/documents.js").QuietHours} QuietHours */

/** Whether a moment lies in the quiet hours; from a to a is a whole day. @param {QuietHours | null | undefined} quiet @param {number} ms */
export function isQuietAt(quiet, ms) {
  if (quiet === null || quiet === undefined) return false;
  const { from_minute, to_minute, time_zone } = quiet;
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: time_zone });
  const [hours, minutes] = clock.format(ms).split(":").map(Number);
  const minute = hours * 60 + minutes;
  if (from_minute < to_minute) return from_minute <= minute && minute < to_minute;
  return minute >= from_minute || minute < to_minute;
}
