/**
 * Wrong words that an account tapped at pairing, in this browser.
 * @module
 */
import { readJson, remembered } from "./account.js";

/** @typedef {import("./account.js").Owner} Owner */

/** Two wrong words in a day are a reason to look at the doorbell's own page before anything else. */
const MAX_WRONG_TAPS = 2;
const DAY_MS = 24 * 3600 * 1000;

/** Whether this account tapped so many wrong words at pairing within a day that the app stops. @param {Owner} owner */
export function hasTooManyWrongTaps(owner) {
  return wrongTaps(owner).length >= MAX_WRONG_TAPS;
}

/** @param {Owner} owner */
export function addWrongTap(owner) {
  const times = [...wrongTaps(owner), Date.now()];
  localStorage.setItem(remembered("wrong-taps", owner.credential_id), JSON.stringify(times));
}

/** @param {Owner} owner @returns {number[]} */
function wrongTaps(owner) {
  /** @type {number[]} */
  const times = readJson(remembered("wrong-taps", owner.credential_id)) ?? [];
  return times.filter((at_ms) => Math.abs(Date.now() - at_ms) < DAY_MS);
}
