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
  return [...known.values()].filter(({ until_ms }) => until_ms > nowMs).reverse();
}
