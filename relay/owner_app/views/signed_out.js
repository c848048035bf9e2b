/**
 * The notice of why this browser was signed out without a press of "Sign out" here, and what to do.
 * @module
 */
import { h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";

/** @param {import("../account.js").EndedSession} ended */
export function whyEnded({ why, at_ms, name }) {
  return h(
    "div",
    { class: "notice", id: "why-signed-out", "data-why": why, role: "status" },
    h("p", {}, h("strong", {}, t("welcome.signed_out", { name, time: timeWithin(at_ms) }))),
    h("p", {}, t(`welcome.ended.${why}`)),
    h("p", {}, t(`welcome.ended.${why}_help`)),
  );
}
