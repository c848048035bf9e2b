/**
 * The page after joining: pair a doorbell, or ask to join a household.
 * @module
 */
import { ownerKeys } from "../account.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { pairThroughRelay } from "../newcomer.js";
import { pairingReaches } from "../statements.js";
import { nameField } from "./browsers.js";
import { creditFold } from "./credit.js";
import { guarded, problem } from "./parts.js";
import { findThroughRelay, showStoppedForToday } from "./four_taps.js";
import { hasTooManyWrongTaps } from "../wrong_taps.js";

/** @typedef {import("../app.js").Context} Context */

/** As long as a doorbell pairs a newcomer. */
const LIFE_MS = 10 * 60 * 1000;

/** @param {Context} context */
export function startPage(context) {
  return {
    title: t("start.title", { name: context.household.owner.name }),
    body: [
      h("p", { class: "lead" }, t("start.lead")),
      h(
        "div",
        { class: "choice" },
        h("a", { class: "button", href: "#/pair", id: "start-pair" }, t("start.pair")),
        h("a", { class: "button", href: "#/ask", id: "start-ask" }, t("start.ask")),
      ),
      creditFold(context),
    ],
  };
}

/** @param {Context} context */
export function askPage(context) {
  const place = h("div", { "aria-live": "polite" });
  const ask = guarded(place, async () => {
    const { relay, household } = context;
    if (hasTooManyWrongTaps(household.owner)) return fill(place, showStoppedForToday());
    const owner = await ownerKeys(household.owner);
    const paired = await pairThroughRelay(relay, { owner }, () => {});
    const { pairing_id } = paired.offer;
    await relay.post("join", { pairing_id, reveal: paired.answered.reveal });
    const words = h("div", { id: "ask-words" });
    fill(place, h("div", { class: "notice", id: "has-asked", role: "status" }, h("p", {}, t("ask.waiting"))), words);
    void findThroughRelay(context, words, paired, t("ask.found"));
    void waitUntilLetIn(context, pairing_id, place);
  });
  return {
    title: t("ask.title"),
    body: [
      h("p", { class: "lead" }, t("ask.lead")),
      nameField(context, () => {}),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "ask", onclick: ask }, t("ask.ask"))),
      place,
      h("p", { class: "muted" }, t("ask.how")),
    ],
  };
}

/**
 * The words stay, whatever the relay says: whoever confirms at the doorbell still has to hear of them.
 * @param {Context} context @param {string} id @param {HTMLElement} place
 */
async function waitUntilLetIn({ relay, household, left }, id, place) {
  const tooLate = AbortSignal.timeout(LIFE_MS);
  try {
    const told = await pairingReaches(relay, id, ["paired", "stopped"], AbortSignal.any([left, tooLate]));
    if (left.aborted || told?.state === "stopped") return;
    if (told === null) return fill(place, h("p", { class: "notice", id: "ask-over", role: "status" }, t("ask.over")));
    await household.load();
    const toDoor = h("a", { class: "button primary", id: "to-door", href: "#/" }, t("pair.to_door"));
    place.querySelector("#has-asked")?.replaceChildren(h("p", {}, t("ask.done")), toDoor);
  } catch (error) {
    if (!left.aborted) place.replaceChildren(problem(error));
  }
}
