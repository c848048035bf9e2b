/**
 * What stands on each of a guest's pages: whose doorbell it is, and until when they are a guest.
 * @module
 */
import { guestTimes, remembered } from "../account.js";
import { h } from "../dom.js";
import { t, time } from "../i18n.js";
import { knownBrowsers } from "../known_browsers.js";
import { nowMs } from "../town_time.js";
import { living } from "./parts.js";

/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../account.js").GuestTime} GuestTime */
/** @typedef {import("../account.js").Owner} Owner */

/** @param {Pick<import("../app.js").Context, "household" | "left">} context */
export function guestBanner(context) {
  return h("div", { class: "notice", id: "guest-banner" }, living(context, () => lines(context.household)));
}

/** By the doorbell's own note, and before it comes by the relay's word; kept, so that its end can be said. @param {Household} household */
function lines(household) {
  return household.doorbells.map(({ device, guest }) => {
    const told = knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === guest?.browser);
    const until_ms = told?.until_ms ?? guest?.until_ms ?? 0;
    const known = guestTimes(household.owner)[device]; // its note may not be opened again yet
    rememberGuestTime(household.owner, device, { by_name: told?.by_name ?? known?.by_name ?? "", until_ms });
    const whose = told ? t("guest.of", { name: told.by_name }) : t("guest.of_nobody");
    return h("p", { "data-testid": "guest-of" }, whose, " ", time(until_ms));
  });
}

/** @param {Owner} owner @param {string} device @param {GuestTime} time */
function rememberGuestTime(owner, device, time) {
  localStorage.setItem(remembered("guest-times", owner.credential_id), JSON.stringify({ ...guestTimes(owner), [device]: time }));
}
