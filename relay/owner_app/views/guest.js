/**
 * The page of an invited guest: an account if they have none, then the pairing with the doorbell
 * whose owner shared the link.
 *
 * The link lets nobody in: an owner signs for this phone's keys, and confirms it at the doorbell.
 * @module
 */
import { browserName, rememberBrowserName, thisBrowser } from "../account.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { pairThroughRelay } from "../newcomer.js";
import { pairingReaches } from "../statements.js";
import { findThroughRelay, showStoppedForToday, warning } from "./four_taps.js";
import { guarded, problem } from "./parts.js";
import { tooLongText } from "./setting_field.js";
import { joinForm } from "./welcome.js";
import { hasTooManyWrongTaps } from "../wrong_taps.js";

/** @typedef {import("../app.js").Context} Context */

/** As long as a doorbell pairs a newcomer. */
const LIFE_MS = 10 * 60 * 1000;
const MAX_NAME = 60;
const DEVICE = /^[a-z2-7]{20}$/;

/** @param {Context} context */
export async function guestPage(context) {
  const device = context.query.get("door") ?? "";
  const title = t("guest.title");
  if (!DEVICE.test(device)) return { title, body: [warning("no-door", t("guest.no_door"))] };
  if (context.household === null) {
    const again = () => dispatchEvent(new HashChangeEvent("hashchange"));
    return { title, body: [h("p", { class: "lead" }, t("guest.lead")), h("p", {}, t("guest.account")), ...(await joinForm(context, again))] };
  }
  return { title, body: asking(context, device) };
}

/** @param {Context} context @param {string} device */
function asking(context, device) {
  const { household, relay } = context;
  const place = h("div", { "aria-live": "polite" });
  const name = h("input", { id: "guest-name", autocomplete: "name", required: true });
  name.value = household.owner.name;
  const ask = guarded(place, async () => {
    if (hasTooManyWrongTaps(household.owner)) return fill(place, showStoppedForToday());
    const wrong = tooLongText(name.value.trim(), MAX_NAME);
    if (wrong !== "") return fill(place, h("p", { class: "warn-text", role: "alert" }, wrong));
    rememberBrowserName(household.owner, name.value.trim() || browserName(household.owner));
    const { keys } = await thisBrowser(household.owner);
    const check = (/** @type {{device: string}} */ answered) => {
      if (answered.device !== device) throw new Error(t("guest.other_door"));
    };
    const paired = await pairThroughRelay(relay, { browser: keys }, check, device);
    const { pairing_id } = paired.offer;
    await relay.post("join", { pairing_id, reveal: paired.answered.reveal });
    const words = h("div", { id: "guest-words" });
    const asked = h("div", { class: "notice", id: "guest-asked", role: "status" }, h("p", {}, t("guest.waiting")));
    fill(place, asked, words);
    void findThroughRelay(context, words, paired, t("guest.found"), t("guest.words"));
    void waitUntilLetIn(context, pairing_id, asked, place);
  });
  return [
    h("p", { class: "lead" }, t("guest.lead")),
    h("ul", {}, ["guest.may", "guest.may_not", "guest.keeps"].map((key) => h("li", {}, t(key)))),
    h("label", { for: "guest-name" }, t("guest.name")),
    name,
    h("p", { class: "hint" }, t("guest.name_hint")),
    h("div", { class: "actions" }, h("button", { class: "primary", id: "guest-ask", onclick: ask }, t("guest.ask"))),
    place,
  ];
}

/** @param {Context} context @param {string} id @param {HTMLElement} asked @param {HTMLElement} place */
async function waitUntilLetIn({ relay, household, left }, id, asked, place) {
  const tooLate = AbortSignal.timeout(LIFE_MS);
  try {
    const told = await pairingReaches(relay, id, ["paired", "stopped"], AbortSignal.any([left, tooLate]));
    if (left.aborted || told?.state === "stopped") return;
    if (told === null) return fill(place, h("p", { class: "notice", id: "guest-over", role: "status" }, t("ask.over")));
    await household.load();
    fill(asked, h("p", {}, t("guest.in")), h("a", { class: "button primary", id: "to-door", href: "#/" }, t("pair.to_door")));
  } catch (error) {
    if (!left.aborted) fill(place, problem(error));
  }
}

/** What a guest sees where an owner decides something. */
export function ownersOnlyPage() {
  const toDoor = h("a", { class: "button primary", href: "#/" }, t("pair.to_door"));
  return { title: t("guest.owners_only"), body: [h("p", {}, t("guest.owners_only_help")), h("div", { class: "actions" }, toDoor)] };
}
