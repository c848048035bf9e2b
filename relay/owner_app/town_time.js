/**
 * The app's clock: this machine's, or an example town's simulated one. The relay says how far, and
 * is believed only where it says as well, on every page, that its town is an example. The end of a
 * statement goes by this; each doorbell checks it by its own clock.
 * @module
 */

const EXAMPLE_PREFIX = "example.";
/** As firmware/protocol/town_clock.py has it. */
const MAX_AHEAD_MS = 3 * 366 * 24 * 3600 * 1000;

let isExample = false;
let aheadMs = 0;

/** @param {string | undefined} town the name of the relay's logs, where they are an example's */
export function livesIn(town) {
  isExample = town?.startsWith(EXAMPLE_PREFIX) ?? false;
}

/** @param {string | null} said by the relay with an answer: how far the town's clock is ahead */
export function setClockOffset(said) {
  if (said === null || !/^[0-9]{1,12}$/.test(said)) return;
  aheadMs = Math.min(Number(said), MAX_AHEAD_MS);
}

/** @returns {number} milliseconds since 1970 */
export function nowMs() {
  return Date.now() + (isExample ? aheadMs : 0);
}
