/**
 * The owner's browsers that get notifications: as the relay has them, with the names from the
 * doorbells' sealed notes. Another one can be turned off from here, such as a lost phone.
 * @module
 */
import { thisBrowser } from "../account.js";
import { rows } from "../components/rows.js";
import { fill, h, skeleton } from "../dom.js";
import { t, timeText } from "../i18n.js";
import { knownBrowsers } from "../known_browsers.js";
import { nowMs } from "../town_time.js";
import { guarded } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{browser: string, set_ms: number}} Subscribed */

/** @param {Context} context */
export function phonesSection(context) {
  const place = h("div", { "aria-live": "polite" }, skeleton(2));
  void look(context, place);
  return h("section", { id: "push-phones" }, h("h2", {}, t("push.phones")), h("p", { class: "hint" }, t("push.phones_help")), place);
}

/** @param {Context} context @param {HTMLElement} place @param {string} [said] */
async function look(context, place, said) {
  const { household } = context;
  try {
    /** @type {[{browsers: Subscribed[]}, {id: string}]} */
    const [{ browsers }, here] = await Promise.all([household.relay.get("push"), thisBrowser(household.owner)]);
    const all = browsers.map((one) => rowOf(context, place, one, here.id));
    fill(
      place,
      said && h("p", { class: "notice", role: "status", id: "push-phone-said" }, said),
      all.length > 0 ? rows(all) : h("p", { class: "muted" }, t("push.phones_none")),
    );
  } catch (error) {
    console.warn("notifications elsewhere", error);
    fill(place, h("p", { class: "warning", id: "push-phones-failed" }, t("push.phones_failed")));
  }
}

/** @param {Context} context @param {HTMLElement} place @param {Subscribed} one @param {string} here */
function rowOf(context, place, { browser, set_ms }, here) {
  const { household } = context;
  const named = knownBrowsers(household, nowMs()).find((one) => one.browser === browser);
  const name = named?.name ?? t("push.phone_unknown");
  const problems = h("div", { "aria-live": "polite" });
  const end = guarded(problems, async () => {
    await household.relay.delete(`push/${browser}`);
    await look(context, place, t("push.phone_ended", { name }));
  });
  const control = h("div", {}, h("button", { type: "button", class: "quiet", onclick: end, "aria-label": `${t("push.phone_off")}: ${name}` }, t("push.phone_off")), problems);
  const more = t("push.phone_since", { time: timeText(set_ms) });
  return browser === here ? { title: name, more, value: t("push.phone_here") } : { title: name, more, control };
}
