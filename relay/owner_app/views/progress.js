/**
 * The progress of a signed statement, by the doorbell's sealed notes only.
 * @module
 */
import { h } from "../dom.js";
import { localPageAddress } from "../local_page_address.js";
import { hasText, t, time } from "../i18n.js";

/** @typedef {import("../household.js").Household} Household */

/** @typedef {"clips" | "person" | "browser" | "words" | "guest" | "more" | "settings" | "key"} About */

/**
 * @param {Household} household
 * @param {string} digest
 * @param {() => void} restart
 * @param {About} [about]
 * @param {string} [device] says so if it can't be reached
 */
export function statementProgress(household, digest, restart, about = "clips", device = "") {
  const notes = household.notesOn(digest);
  const last = notes.at(-1);
  if (last === undefined) return [isPending(household, device)];
  const { body } = last.note;
  if (body.type === "confirmation_wanted") return [confirmHere(body, about)];
  if (body.type === "statement_refused") return refusedByBrowser(body, restart);
  if (body.type !== "released") return [step("progress.done", "progress.done_help", "statement-done")];
  return [
    step("progress.released", "progress.released_help", "released"),
    h("p", { class: "muted" }, time(last.time_ms)),
  ];
}

/** How a statement stands, in one word. @param {Household} household @param {string} digest @returns {"sent" | "asked" | "refused" | "done"} */
export function standing(household, digest) {
  const last = household.notesOn(digest).at(-1);
  if (last === undefined) return "sent";
  const { type } = last.note.body;
  if (type === "confirmation_wanted") return "asked";
  return type === "statement_refused" ? "refused" : "done";
}

/** Sent, and nothing heard: the doorbell may be away. @param {Household} household @param {string} device */
export function isPending(household, device) {
  const isAway = household.doorbell(device)?.state === "offline";
  if (isAway) return step("progress.away", "progress.away_help", "statement-away");
  return step("progress.sent", "progress.sent_help", "statement-sent");
}

/** @param {string} title @param {string} help @param {string} id */
function step(title, help, id) {
  return h("div", { class: "notice", id, role: "status" }, h("h2", {}, t(title)), h("p", {}, t(help)));
}

/** @param {import("../vendor/protocol/documents.js").ConfirmationWanted} wanted @param {About} about */
function confirmHere({ door_page: doorPage }, about) {
  const isWeb = /^https?:\/\//.test(doorPage);
  const link = {
    class: "button primary",
    id: "door-page",
    href: isWeb && localPageAddress(doorPage),
    target: "_blank",
    rel: "noopener noreferrer",
  };
  return h(
    "div",
    { class: "notice", id: "confirm-at-door", role: "status" },
    h("h2", {}, t("progress.confirm")),
    h("p", {}, t(`progress.confirm_${about}`)),
    isWeb
      ? h("a", link, t("progress.open_door"))
      : h("p", { class: "digest" }, doorPage),
  );
}

/** @param {{reason: string, detail: string}} body @param {() => void} restart */
export function refusedByBrowser({ reason, detail }, restart) {
  const known = `refusal.${reason}`;
  return [
    h(
      "div",
      { class: "warning", id: "statement-refused", "data-reason": reason, role: "status" },
      h("h2", {}, t("progress.refused")),
      h("p", {}, hasText(known) ? t(known) : detail),
      h("p", { class: "muted" }, `${reason}: ${detail}`),
    ),
    h("button", { onclick: restart }, t("progress.restart")),
  ];
}
