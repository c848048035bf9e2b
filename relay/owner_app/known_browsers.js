/**
 * The browsers that may watch, as far as this one has been notified.
 * @module
 */

/** @typedef {import("./household.js").Household} Household */
/** @typedef {{device: string, browser: string, name: string, until_ms: number, time_ms: number}} KnownBrowser */

/**
 * The browsers that may watch now, by what the doorbells told in sealed notes, newest first.
 * @param {Household} household @param {number} nowMs
 * @returns {KnownBrowser[]}
 */
export function knownBrowsers(household, nowMs) {
  /** @type {Map<string, KnownBrowser>} */
  const known = new Map();
  const notes = [...household.notes.values()].sort((a, b) => a.time_ms - b.time_ms);
  for (const { note, time_ms } of notes) {
    const { device, body } = note;
    if (body.type === "browser_enrolled") {
      const { browser, name, until_ms } = body;
      known.set(`${device} ${browser}`, { device, browser, name, until_ms, time_ms });
    } else if (body.type === "browser_ended") known.delete(`${device} ${body.browser}`);
  }
  return [...known.values()].filter(({ until_ms }) => until_ms > nowMs).reverse();
}
