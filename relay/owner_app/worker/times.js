/**
 * Times in notifications.
 * @module
 */

/** A phone's clock may be wrong by an hour, as it is where it missed a change to summer time. */
export const CLOCK_ERROR_MS = 90 * 60_000;

/** How a time is written: by its hour today, else with its day. @param {number} ms @returns {"clock" | "moment"} */
export function styleOf(ms) {
  return new Date(ms).toDateString() === new Date().toDateString() ? "clock" : "moment";
}
