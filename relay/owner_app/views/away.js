/**
 * What stands on pages of a doorbell that can't be reached: since when, and what becomes of what an
 * owner does meanwhile. The first page, and the settings, say it in words of their own.
 * @module
 */
import { h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";
import { living } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Pick<Context, "household" | "left">} context @param {string[]} parts of the address: a doorbell that they name, or else all of them */
export function awayNotice(context, parts) {
  const { household } = context;
  return living(context, () => {
    if (!household.hasContact || household.asOfMs > 0) return []; // then it isn't known
    const named = household.doorbells.filter(({ device }) => parts.includes(device));
    const away = (named.length > 0 ? named : household.doorbells).filter(({ state }) => state === "offline");
    return away.map(({ device, name, guest, since_ms }) =>
      h("p", { class: "notice", "data-testid": "door-away", "data-device": device, role: "status" }, t("away.since", { door: name, time: timeWithin(since_ms) }), " ", t(guest == null ? "away.help" : "away.help_guest")),
    );
  });
}
