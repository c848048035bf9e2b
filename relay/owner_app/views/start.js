/**
 * After joining: a doorbell of one's own, or asking to be let into a household.
 * @module
 */
import { ownerKeys } from "../account.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { pairingReaches } from "../statements.js";
import { newId } from "../vendor/protocol/encoding.js";
import { guarded, problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Context} context */
export function startPage({ household }) {
  return {
    title: t("start.title", { name: household.owner.name }),
    body: [
      h("p", { class: "lead" }, t("start.lead")),
      h(
        "div",
        { class: "choice" },
        h("a", { class: "button", href: "#/pair", id: "start-pair" }, t("start.pair")),
        h("a", { class: "button", href: "#/ask", id: "start-ask" }, t("start.ask")),
      ),
    ],
  };
}

/** @param {Context} context */
export function askPage(context) {
  const place = h("div", { "aria-live": "polite" });
  const ask = guarded(place, async () => {
    const { relay, household, left } = context;
    const pairing_id = newId();
    await relay.post("pairings", { pairing_id });
    await relay.post("join", { pairing_id, owner: await ownerKeys(household.owner) });
    place.replaceChildren(
      h("div", { class: "notice", id: "asked", role: "status" }, h("p", {}, t("ask.waiting"))),
    );
    waitUntilLetIn(relay, pairing_id, left, place);
  });
  return {
    title: t("ask.title"),
    body: [
      h("p", { class: "lead" }, t("ask.lead")),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "ask", onclick: ask }, t("ask.ask"))),
      place,
      h("p", { class: "muted" }, t("ask.how")),
    ],
  };
}

/** @param {import("../api.js").Relay} relay @param {string} id @param {AbortSignal} left @param {HTMLElement} place */
async function waitUntilLetIn(relay, id, left, place) {
  try {
    if ((await pairingReaches(relay, id, ["paired"], left)) !== null) location.hash = "#/";
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}
