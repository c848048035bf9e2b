/**
 * The page after joining: pair a doorbell, or ask to join a household.
 * @module
 */
import { ownerKeys } from "../account.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { pairingReaches } from "../statements.js";
import { newId } from "../vendor/protocol/encoding.js";
import { newcomerWords } from "../vendor/protocol/pairing.js";
import { nameField } from "./browsers.js";
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
    const { relay, household } = context;
    const pairing_id = newId();
    await relay.post("pairings", { pairing_id });
    const owner = await ownerKeys(household.owner);
    await relay.post("join", { pairing_id, owner });
    const words = await newcomerWords(pairing_id, owner);
    place.replaceChildren(
      h("div", { class: "notice", id: "has-asked", role: "status" }, h("p", {}, t("ask.waiting"))),
      h("p", {}, t("ask.words")),
      h("ol", { class: "words", id: "ask-words" }, words.map((word) => h("li", { lang: "en" }, word))),
    );
    waitUntilLetIn(context, pairing_id, place);
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
 * The words stay, whatever the relay says: whoever confirms at the doorbell still has to hear them.
 * @param {Context} context @param {string} id @param {HTMLElement} place
 */
async function waitUntilLetIn({ relay, household, left }, id, place) {
  try {
    if ((await pairingReaches(relay, id, ["paired"], left)) === null) return;
    await household.load();
    const toDoor = h("a", { class: "button primary", id: "to-door", href: "#/" }, t("pair.to_door"));
    place.querySelector("#has-asked")?.replaceChildren(h("p", {}, t("ask.done")), toDoor);
  } catch (error) {
    if (!left.aborted) place.replaceChildren(problem(error));
  }
}
