/**
 * The hint that this browser's right to watch ends soon, or is over.
 * @module
 */
import { h } from "../dom.js";
import { t, time, timeWithin } from "../i18n.js";
import { knownBrowsers, lapsedMs } from "../known_browsers.js";
import { nowMs } from "../town_time.js";

/** @typedef {import("../household.js").Household} Household */

const RENEW_BEFORE_MS = 5 * 24 * 3600 * 1000;

/** Says when this browser will soon not be let in any more, or isn't since. @param {Household} household @param {string} device */
export function renewal(household, device) {
  const id = household.browser?.id;
  const overMs = household.isGuest ? 0 : lapsedMs(household, device, id, nowMs());
  if (overMs > 0) {
    const again = h("a", { href: `#/browsers/${device}` }, t("browsers.renew"));
    return h("p", { class: "hint", "data-testid": "browser-lapsed" }, t("door.lapsed", { time: timeWithin(overMs) }), " ", again);
  }
  const known = knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === id);
  if (known === undefined || known.until_ms - nowMs() > RENEW_BEFORE_MS) return null;
  const link = h("a", { href: `#/browsers/${device}` }, t("browsers.renew"));
  return h("p", { class: "hint" }, t("browsers.may"), " ", time(known.until_ms), ". ", link);
}
