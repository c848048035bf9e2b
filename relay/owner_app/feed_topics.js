/**
 * What an account follows of its district, as the relay keeps it: off until it was chosen.
 * @module
 */
import { WireError } from "./vendor/protocol/encoding.js";

/** @typedef {"safety" | "lost_and_found"} Group */
/** @typedef {"push" | "daily" | "weekly"} How */
/** @typedef {import("./vendor/protocol/documents.js").QuietHours} QuietHours */
/** @typedef {{groups: Group[], how: How, minute: number, quiet: QuietHours | null, time_zone: string}} Following `minute` of the day at which a digest comes, in that zone */

export const GROUPS = /** @type {const} */ (["safety", "lost_and_found"]);
export const WAYS = /** @type {const} */ (["push", "daily", "weekly"]);
/** @type {readonly import("./feed.js").Kind[]} */
const LOST_AND_FOUND = ["lost", "found"];
const MINUTES = 24 * 60;

/** Which of the two a kind belongs to. @param {import("./feed.js").Kind} kind @returns {Group} */
export function groupOf(kind) {
  return LOST_AND_FOUND.includes(kind) ? "lost_and_found" : "safety";
}

/** @param {any} answer @returns {Following} */
export function followingOf(answer) {
  const { groups, how, minute, quiet, time_zone } = answer ?? {};
  const isRight =
    Array.isArray(groups) &&
    groups.every((one) => GROUPS.includes(one)) &&
    WAYS.includes(how) &&
    isMinute(minute) &&
    typeof time_zone === "string" &&
    (quiet === null || (isMinute(quiet?.from_minute) && isMinute(quiet?.to_minute) && typeof quiet?.time_zone === "string"));
  if (!isRight) throw new WireError("what is followed of neighbours");
  return { groups, how, minute, quiet, time_zone };
}

/** @param {unknown} value */
function isMinute(value) {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < MINUTES;
}
