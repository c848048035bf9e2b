/**
 * The browsers that may watch, as far as this one has been notified.
 * @module
 */

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./vendor/protocol/documents.js").Holder} Holder */
/** @typedef {import("./vendor/protocol/documents.js").What} What */
/** @typedef {{device: string, browser: string, name: string, by_name: string, holder: Holder, what: What[], from_ms: number, until_ms: number, time_ms: number}} KnownBrowser */

/**
 * The browsers, guests and players that have a right now, by what the doorbells told in sealed notes, newest first.
 * @param {Household} household @param {number} nowMs
 * @returns {KnownBrowser[]}
 */
export function knownBrowsers(household, nowMs) {
  return latestRights(household).filter(({ until_ms }) => until_ms > nowMs);
}

/**
 * Since when a browser's right at a doorbell is over by its clock; 0 if it isn't, or somebody ended it.
 * @param {Household} household @param {string} device @param {string | undefined} browser @param {number} nowMs
 */
export function lapsedMs(household, device, browser, nowMs) {
  const right = latestRights(household).find((one) => one.device === device && one.browser === browser);
  return right === undefined || right.until_ms > nowMs ? 0 : right.until_ms;
}

/** The last right that each got, over or not, newest first. @param {Household} household @returns {KnownBrowser[]} */
function latestRights(household) {
  /** @type {Map<string, KnownBrowser>} */
  const known = new Map();
  const notes = [...household.notes.values()].sort((a, b) => a.time_ms - b.time_ms);
  for (const { note, time_ms } of notes) {
    const { device, body } = note;
    if (body.type === "browser_enrolled") {
      const { type: _, ...right } = body;
      known.set(`${device} ${right.browser}`, { device, ...right, time_ms });
    } else if (body.type === "browser_ended") known.delete(`${device} ${body.browser}`);
  }
  return [...known.values()].reverse();
}
