/**
 * The texts of refused or failed live sessions, with remedies.
 * @module
 */
import { ApiError } from "../api.js";
import { ClipError } from "../clip_error.js";
import { h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { ClocksDiffer, NoSession, Tampered } from "../live_errors.js";
import { KeysDiffer } from "../trust.js";
import { problem } from "./parts.js";

/** This browser isn't one that the doorbell lets watch. */
const NOT_ENROLLED = ["unknown_browser", "browser_expired"];

/**
 * @param {unknown} error @param {string} device
 * @returns {{node: Node, canTryAgain: boolean}}
 */
export function refusal(error, device) {
  const cause = error instanceof ClipError ? error.cause : error;
  if (cause instanceof Tampered || cause instanceof KeysDiffer) return { node: tampered(cause), canTryAgain: false };
  if (cause instanceof ClocksDiffer) return { node: words("clocks"), canTryAgain: true };
  if (cause instanceof NoSession) return { node: words("no_h264"), canTryAgain: false };
  if (cause instanceof ApiError) {
    if (isNotEnrolled(cause)) return { node: notEnrolled(cause.code, device), canTryAgain: false };
    if (hasText(`live.refused.${cause.code}`)) return { node: words(cause.code), canTryAgain: true };
  }
  return { node: problem(error), canTryAgain: true };
}

/** Tells whether a doorbell said that this browser isn't one of its own. @param {unknown} error */
export function isNotEnrolled(error) {
  return error instanceof ApiError && NOT_ENROLLED.includes(error.code);
}

/** @param {string} reason */
function words(reason) {
  const help = `live.refused.${reason}_help`;
  return h(
    "div",
    { class: "warning", role: "alert", "data-reason": reason },
    h("p", {}, t(`live.refused.${reason}`)),
    hasText(help) && h("p", {}, t(help)),
  );
}

/** @param {Error} error */
function tampered(error) {
  return h(
    "div",
    { class: "warning", role: "alert", id: "live-tampered" },
    h("h2", {}, t("live.tampered")),
    h("p", {}, t("live.tampered_help")),
    h("ul", {}, [1, 2, 3].map((step) => h("li", {}, t(`live.tampered_step${step}`)))),
    h("p", { class: "muted" }, error.message),
  );
}

/** @param {string} reason @param {string} device */
function notEnrolled(reason, device) {
  return h(
    "div",
    { class: "notice", id: "not-enrolled", "data-reason": reason, role: "status" },
    h("h2", {}, t(`live.refused.${reason}`)),
    h("p", {}, t(`live.refused.${reason}_help`)),
    h("a", { class: "button primary", id: "enrol", href: `#/browsers/${device}` }, t(`browsers.${reason === "browser_expired" ? "renew" : "enrol"}`)),
  );
}
