/**
 * The notices shown without a doorbell, and after losing one.
 * @module
 */
import { guestTimes } from "../account.js";
import { h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";
import { nowMs } from "../town_time.js";

/** So long it is said that a guest's time is over. */
const SAID_MS = 30 * 24 * 3600 * 1000;

/** Says of which doorbells one is no longer an owner or a guest. @param {import("../household.js").Household} household */
export function formerDoorbells(household) {
  return [...formerlyOwned(household), ...formerlyGuest(household)];
}

/** @param {import("../household.js").Household} household */
function formerlyOwned({ gone }) {
  return gone.map(({ device, name, since_ms }) =>
    h("div", { class: "notice", "data-testid": "no-longer-owner", "data-device": device }, h("p", {}, t("door.gone", { door: name, time: timeWithin(since_ms) })), h("p", { class: "muted" }, t("door.gone_help"))),
  );
}

/** Whose guest one was: whether the time was over, or somebody ended it before. @param {import("../household.js").Household} household */
function formerlyGuest(household) {
  const now = nowMs();
  const over = Object.entries(guestTimes(household.owner)).filter(([device, { until_ms }]) => household.doorbell(device) === undefined && now - until_ms < SAID_MS);
  return over.map(([device, { by_name: name, until_ms }]) => {
    const how = until_ms <= now ? "over" : "ended";
    const words = t(`door.guest_${how}${name ? "" : "_by_nobody"}`, { name, time: timeWithin(until_ms) });
    return h("div", { class: "notice", "data-testid": "no-longer-guest", "data-device": device, "data-how": how, role: "status" }, h("p", {}, words), h("p", { class: "muted" }, t("door.guest_help")));
  });
}

/** Says that there is none, after which there may have been, and how to come to one. @param {import("../household.js").Household} household */
export function nothingHere(household) {
  return [
    ...formerDoorbells(household),
    h("p", { class: "lead" }, t("door.none")),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/start" }, t("door.add")), h("a", { class: "button", href: "#/neighbours" }, t("door.neighbours"))),
  ];
}

/**
 * The page of one doorbell that isn't known; drawn again once it is.
 * @param {import("../app.js").Context} context
 * @param {string | undefined} device the one wanted; none: whichever comes first
 */
export function unknownDoorbell({ household, left, again }, device) {
  const look = () => household.doorbell(device ?? household.doorbells[0]?.device) !== undefined && again();
  household.addEventListener("change", look, { signal: left });
  return nothingHere(household);
}
