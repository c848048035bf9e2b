/**
 * The other answers to a request: refuse, decide later, and block this agency. Each is signed by
 * one passkey prompt, reaches nobody but the doorbell and its owners, and takes effect at once.
 * @module
 */
import { decisionsOn, rememberDecision } from "../account.js";
import { holdsOf, settingsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { guarded } from "./parts.js";
import { isPending, refusedByBrowser, standing } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../account.js").DecisionKind} DecisionKind */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../vendor/protocol/documents.js").Terms} Terms */
/** @typedef {{device: string, digest: string}} Which request, and at which door */
/** @typedef {{kind: DecisionKind, terms: Terms, words: string, help: string, done: () => Node | null}} Answer `done` says how it stands now, null if it counts no more */

/** @param {Context} context @param {Asked} asked */
export function answers(context, asked) {
  const { device, digest, request, agency } = asked;
  /** @type {Answer[]} */
  const all = [
    declining(digest),
    {
      kind: "hold",
      terms: { kind: "hold", from_ms: request.from_ms, to_ms: request.to_ms },
      words: t("answer.hold"),
      help: t("answer.hold_help"),
      done: () => held(context, asked),
    },
    {
      kind: "refuse",
      terms: { kind: "refuse_agency", agency: agency.id, is_refused: true },
      words: t("answer.refuse", { agency: agency.name }),
      help: t("answer.refuse_help"),
      done: () => refusedForEver(context, asked),
    },
  ];
  return all.map((answer) => place(context, { device, digest }, answer));
}

/** For a request that can't be trusted: a no counts all the same. @param {Context} context @param {Which} which */
export function declineOnly(context, which) {
  return place(context, which, declining(which.digest));
}

/** @param {string} digest @returns {Answer} */
function declining(digest) {
  return {
    kind: "decline",
    terms: { kind: "decline", request_digest: digest },
    words: t("answer.decline"),
    help: t("answer.decline_help"),
    done: () => h("p", {}, t("answer.declined")),
  };
}

/** @param {Context} context @param {Which} which @param {Answer} answer */
function place(context, { device, digest }, { kind, terms, words, help, done }) {
  const { household, left } = context;
  const said = h("div", { "aria-live": "polite" });
  const changed = () => household.dispatchEvent(new CustomEvent("change"));
  const forget = () => {
    rememberDecision(device, digest, kind, null);
    changed();
  };
  const send = guarded(said, async () => {
    const sent = await sendStatement(household, device, terms);
    rememberDecision(device, digest, kind, { digest: sent, signed_ms: nowMs() });
    changed();
  });
  const area = h("div");
  let shown = "";
  const draw = () => {
    const sent = decisionsOn(device, digest)[kind];
    const state = sent && standing(household, sent.digest);
    const known = done();
    const isDone = known !== null && (state === "done" || (state === undefined && kind !== "decline"));
    const now = JSON.stringify([state, isDone && known.textContent, household.doorbell(device)?.state]);
    if (now === shown) return; // a button mustn't go away under a finger
    shown = now;
    if (state === "sent" || state === "asked") fill(area, isPending(household, device));
    else if (state === "refused") fill(area, refusedByBrowser(refusalOf(context, sent?.digest ?? ""), forget));
    else if (isDone) fill(area, h("div", { class: "notice", id: `${kind}-done`, role: "status" }, known));
    else fill(area, h("button", { id: kind, onclick: send }, words), h("p", { class: "muted" }, help));
  };
  draw();
  household.addEventListener("change", draw, { signal: left });
  return h("div", { class: "answer", "data-answer": kind }, area, said);
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
  return h("p", {}, t("answer.held"), " ", time(hold.until_ms, "day"), h("br"), link);
}

/** @param {Context} context @param {Asked} asked */
function refusedForEver({ household }, { device, agency }) {
  if (!settingsOf(household, device).refused.includes(agency.id)) return null;
  const link = h("a", { href: `#/settings/police/${device}` }, t("answer.refused_link"));
  return h("p", {}, t("answer.refused", { agency: agency.name }), " ", link);
}
