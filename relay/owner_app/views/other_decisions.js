/**
 * The answers to a request beside giving: no, hold, ignore, and never again from this agency.
 * Ignoring sends nothing. Each other one is signed by one passkey prompt, reaches nobody but the
 * doorbell and its owners, and takes effect at once.
 * @module
 */
import { decisionsOn } from "../account.js";
import { holdsOf, settingsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { rememberDecision } from "../sent_decisions.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { guarded } from "./parts.js";
import { isPending, refusedByBrowser, standing } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../account.js").DecisionKind} DecisionKind */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../vendor/protocol/documents.js").Terms} Terms */
/** @typedef {{device: string, digest: string}} Which request, and at which door */
/** @typedef {{kind: DecisionKind, terms: Terms, words: string, done: () => Node | null}} Answer `done` says how it stands now, null if it counts no more */

/** The bar below all screens of a request: no, hold and ignore, as large as each other, and beside them the way on. */
export class AnswerBar {
  /** @param {Context} context @param {Asked} asked */
  constructor(context, asked) {
    const { device, digest, request } = asked;
    const all = [
      new SentAnswer(context, { device, digest }, declining(digest)),
      new SentAnswer(context, { device, digest }, {
        kind: "hold",
        terms: { kind: "hold", from_ms: request.from_ms, to_ms: request.to_ms },
        words: t("answer.hold"),
        done: () => held(context, asked),
      }),
    ];
    this.onwards = h("div", { class: "onwards" });
    this.said = h("div", { id: "answers-said", "aria-live": "polite" });
    const ignore = h("a", { class: "button", id: "ignore", href: "#/requests" }, t("answer.ignore"));
    this.node = h(
      "div",
      { class: "pinned answers", id: "answers", role: "group", "aria-label": t("answer.title") },
      h("div", { class: "answers-said" }, all.map(({ node }) => node), this.said),
      h("div", { class: "answer-buttons" }, all.map(({ button }) => button), ignore, this.onwards),
    );
  }

  /** Puts the way on beside the answers. @param {HTMLElement} button */
  goOn(button) {
    fill(this.said);
    fill(this.onwards, button);
  }
}

/** What each answer means, in the order of the bar. @param {Context} context @param {Asked} asked */
export function whatAnswersMean(context, asked) {
  const { agency, device, digest } = asked;
  const rows = ["decline", "hold", "ignore"].map((name) => [h("dt", {}, t(`answer.${name}`)), h("dd", {}, t(`answer.${name}_help`))]);
  const never = new SentAnswer(context, { device, digest }, {
    kind: "refuse",
    terms: { kind: "refuse_agency", agency: agency.id, is_refused: true },
    words: t("answer.refuse", { agency: agency.name }),
    done: () => refusedForEver(context, asked),
  });
  return h(
    "section",
    { id: "answers-mean" },
    h("h2", {}, t("answer.title")),
    h("dl", { class: "terms" }, rows),
    h("div", { class: "never" }, never.button, h("p", { class: "muted" }, t("answer.refuse_help")), never.node),
  );
}

/** For a request that can't be trusted: a no counts all the same. @param {Context} context @param {Which} which */
export function declineOnly(context, which) {
  const { button, node } = new SentAnswer(context, which, declining(which.digest));
  return h("div", {}, button, h("p", { class: "muted" }, t("answer.decline_help")), node);
}

/** @param {string} digest @returns {Answer} */
function declining(digest) {
  return {
    kind: "decline",
    terms: { kind: "decline", request_digest: digest },
    words: t("answer.decline"),
    done: () => h("p", {}, t("answer.declined")),
  };
}

/** One answer: its button, and how it stands. */
class SentAnswer {
  /** @param {Context} context @param {Which} which @param {Answer} answer */
  constructor(context, which, answer) {
    this.context = context;
    this.which = which;
    this.answer = answer;
    this.shown = "";
    this.button = h("button", { id: answer.kind, onclick: (/** @type {Event} */ event) => this.#send(event) }, answer.words);
    this.area = h("div");
    this.said = h("div", { "aria-live": "polite" });
    this.node = h("div", { class: "answer", "data-answer": answer.kind }, this.area, this.said);
    this.#draw();
    context.household.addEventListener("change", () => this.#draw(), { signal: context.left });
  }

  /** @param {Event} event */
  async #send(event) {
    const { household } = this.context;
    const { device, digest } = this.which;
    await guarded(this.said, async () => {
      const sent = await sendStatement(household, device, this.answer.terms);
      rememberDecision(device, digest, this.answer.kind, { digest: sent, signed_ms: nowMs() });
    })(event);
    this.#changed();
  }

  #forget() {
    rememberDecision(this.which.device, this.which.digest, this.answer.kind, null);
    this.#changed();
  }

  #changed() {
    this.context.household.dispatchEvent(new CustomEvent("change"));
  }

  #draw() {
    const { household } = this.context;
    const { kind, done } = this.answer;
    const sent = decisionsOn(this.which.device, this.which.digest)[kind];
    const state = sent && standing(household, sent.digest);
    const known = done();
    const isDone = known !== null && (state === "done" || (state === undefined && kind !== "decline"));
    const now = JSON.stringify([state, isDone && known.textContent, household.doorbell(this.which.device)?.state]);
    this.button.toggleAttribute("disabled", state === "sent" || state === "asked" || isDone);
    if (now === this.shown) return;
    this.shown = now;
    if (state === "sent" || state === "asked") fill(this.area, isPending(household, this.which.device));
    else if (state === "refused") fill(this.area, refusedByBrowser(refusalOf(this.context, sent?.digest ?? ""), () => this.#forget()));
    else fill(this.area, isDone && h("div", { class: "notice", id: `${kind}-done`, role: "status" }, known));
  }
}

/** @param {Context} context @param {string} digest */
function refusalOf({ household }, digest) {
  const body = household.notesOn(digest).at(-1)?.note.body;
  return body?.type === "statement_refused" ? body : { reason: "", detail: "" };
}

/** Until when the asked time is held, by whichever browser's word. @param {Context} context @param {Asked} asked */
function held({ household }, { device, request }) {
  const hold = holdsOf(household, device, nowMs()).find(({ from_ms, to_ms }) => from_ms <= request.from_ms && to_ms >= request.to_ms);
  if (hold === undefined) return null;
  const link = h("a", { href: `#/settings/police/${device}` }, t("answer.holds_link"));
  return h("p", {}, t("answer.held"), " ", time(hold.until_ms, "day"), ". ", link);
}

/** @param {Context} context @param {Asked} asked */
function refusedForEver({ household }, { device, agency }) {
  if (!settingsOf(household, device).refused.includes(agency.id)) return null;
  const link = h("a", { href: `#/settings/police/${device}` }, t("answer.refused_link"));
  return h("p", {}, t("answer.refused", { agency: agency.name }), " ", link);
}
