/**
 * The four words of a pairing, each to be found among four: at the camera, and through the relay.
 *
 * Whether the words are the doorbell's, the person alone tells, by tapping them.
 * @module
 */
import { rememberKeys } from "../account.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { lookAgain, stopPairing } from "../newcomer.js";
import { SecondAnswer, wordsToChoose } from "../vendor/protocol/pairing.js";
import { problem } from "./parts.js";
import { addWrongTap, hasTooManyWrongTaps } from "../wrong_taps.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/pairing.js").Answered} Answered */
/** @typedef {import("../vendor/protocol/pairing.js").Offer} Offer */

/**
 * Offers four words for each of the doorbell's.
 * @param {HTMLElement} place @param {Answered} answered @param {(Node | false)[]} lead what to do, above the words
 * @returns {Promise<boolean>} whether all were found
 */
export function findsWords(place, { words }, lead) {
  return new Promise((found) => {
    /** @param {number} at */
    const ask = (at) => {
      /** @param {string} word */
      const take = (word) => {
        if (word !== words[at]) found(false);
        else if (at + 1 < words.length) ask(at + 1);
        else found(true);
      };
      fill(
        place,
        lead,
        h("h2", { id: "which-word", tabindex: "-1" }, t("pair.which", { number: at + 1, count: words.length })),
        h(
          "div",
          { class: "choice four", role: "group", "aria-labelledby": "which-word", "data-place": String(at) },
          wordsToChoose(words, at).map((word) => h("button", { lang: "en", translate: "no", onclick: () => take(word) }, word)),
        ),
        h("div", { class: "actions" }, h("button", { id: "no-such-word", onclick: () => found(false) }, t("pair.none"))),
      );
      if (at > 0) document.getElementById("which-word")?.focus();
    };
    ask(0);
  });
}

/**
 * Lets a newcomer find the words that the doorbell's own page shows, and says what to do then. Only
 * then the doorbell's keys count as compared.
 * @param {Context} context @param {HTMLElement} place
 * @param {{offer: Offer, answered: Answered}} paired
 * @param {string} then what to do once all four are right
 * @param {string} [lead] where the words stand
 */
export async function findThroughRelay({ relay, household, left, policy }, place, { offer, answered }, then, lead = t("words.find")) {
  try {
    const isFound = await findsWords(place, answered, [h("p", {}, lead)]);
    if (left.aborted) return;
    await lookAgain(relay, offer);
    if (isFound) {
      const { identity_key, sealing_key } = answered.answer;
      rememberKeys(answered.device, { identity_key, sealing_key });
      fill(place, otherPolicy(policy, answered), h("p", { class: "ok", id: "words-found", role: "status" }, t("pair.found"), " ", then));
      return;
    }
    addWrongTap(household.owner);
    const isTooOften = hasTooManyWrongTaps(household.owner);
    fill(place, isTooOften ? showStoppedForToday() : warning("words-differ", t("words.differ")));
  } catch (error) {
    if (left.aborted) return;
    fill(place, error instanceof SecondAnswer ? warning("second-answer", t("words.second_answer")) : problem(error));
  }
  await stopPairing(relay, offer);
}

/**
 * Says so where the doorbell follows other public logs than those that this app was given.
 * @param {import("../app.js").Policy | null} policy @param {Answered} answered
 */
export function otherPolicy(policy, { answer }) {
  if (policy === null || policy.digest === answer.policy_digest) return false;
  const names = { register: answer.register_origin || "–", known: policy.register_origin };
  return warning("other-policy", t("pair.other_policy", names));
}

export function showStoppedForToday() {
  return [warning("stopped-today", t("pair.stopped_today")), h("p", {}, t("pair.stopped_today_help"))];
}

/** @param {string} id @param {string} text */
export function warning(id, text) {
  return h("div", { class: "warning", id, role: "alert" }, h("p", {}, text));
}
