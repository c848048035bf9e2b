/**
 * The current viewers of a doorbell, as far as this browser has been notified.
 * @module
 */

/** @typedef {import("./vendor/protocol/documents.js").WatchingBegan} WatchingBegan */

/** A doorbell that restarts tells of no end: nobody is said to watch for longer than this. */
const LONGEST_MS = 3600 * 1000;

/**
 * Who watches a doorbell now, by its sealed notes, oldest first.
 * @param {Pick<import("./household.js").Household, "notes">} household @param {string} device @param {number} nowMs
 * @returns {WatchingBegan[]}
 */
export function currentViewers(household, device, nowMs) {
  const bodies = [...household.notes.values()].filter(({ note }) => note.device === device).map(({ note }) => note.body);
  const ended = new Set(bodies.map((body) => body.type === "watching_ended" && body.session_id));
  const began = /** @type {WatchingBegan[]} */ (bodies.filter((body) => body.type === "watching_began"));
  return began
    .filter(({ session_id, at_ms }) => !ended.has(session_id) && nowMs - at_ms < LONGEST_MS)
    .sort((a, b) => a.at_ms - b.at_ms);
}
