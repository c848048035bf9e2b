/**
 * How far a signed statement has come, told by the doorbell's sealed notes alone.
 * @module
 */
import { h } from "../dom.js";
import { hasText, t, time } from "../i18n.js";

/** @typedef {import("../household.js").Household} Household */

/**
 * @param {Household} household
 * @param {string} digest
 * @param {() => void} restart
 * @param {"clips" | "person" | "browser"} [about]
 */
export function statementProgress(household, digest, restart, about = "clips") {
  const notes = household.notesOn(digest);
  const last = notes.at(-1);
  if (last === undefined) return [step("progress.sent", "progress.sent_help", "statement-sent")];
  const { body } = last.note;
  if (body.type === "confirmation_wanted") return [confirmHere(body.door_page, about)];
  if (body.type === "statement_refused") return refusedHere(body, restart);
  if (body.type !== "released") return [];
  return [
    step("progress.released", "progress.released_help", "released"),
    h("p", { class: "muted" }, time(last.time_ms)),
  ];
}

/** @param {string} title @param {string} help @param {string} id */
function step(title, help, id) {
  return h("div", { class: "notice", id, role: "status" }, h("h2", {}, t(title)), h("p", {}, t(help)));
}

/** @param {string} doorPage @param {"clips" | "person" | "browser"} about */
function confirmHere(doorPage, about) {
  const isWeb = /^https?:\/\//.test(doorPage);
  const link = {
    class: "button primary",
    id: "door-page",
    href: doorPage,
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
function refusedHere({ reason, detail }, restart) {
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
