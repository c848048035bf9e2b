/**
 * The notice of an emergency request: shown once, with a sound of its own (calm_sound.js).
 * @module
 */
import { isFirstTime } from "./account.js";
import { nowMs } from "./town_time.js";

/** @typedef {import("./decision_notes.js").Match} Match */
/** @typedef {import("./household.js").Household} Household */

/** One that was told longer ago is read in the list, and not called for. */
const FRESH_MS = 3600 * 1000;

/**
 * Calls back for each emergency that a doorbell just told of, at most once in this browser.
 * @param {Household} household @param {AbortSignal} signal @param {(match: Match) => void} onEmergency
 */
export function followEmergencies(household, signal, onEmergency) {
  const matched = (/** @type {Event} */ event) => {
    const fresh = /** @type {Match[]} */ (/** @type {CustomEvent} */ (event).detail);
    for (const match of fresh) {
      const isNow = match.is_emergency && nowMs() - match.told_ms < FRESH_MS;
      if (isNow && isFirstTime(match.request_digest)) onEmergency(match);
    }
  };
  household.addEventListener("matched", matched, { signal });
}
