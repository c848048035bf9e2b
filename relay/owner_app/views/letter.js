/**
 * The first screen of a request: who asks for what and why, as a letter, and what each answer means.
 * @module
 */
import { h } from "../dom.js";
import { spanText, t, time } from "../i18n.js";
import { letterAsks, letterTerms } from "../vendor/protocol/letter.js";
import { terms } from "./parts.js";

/** @typedef {import("../vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("../vendor/protocol/documents.js").Agency} Agency */

/** @param {{request: EvidenceRequest, agency: Agency}} shown */
export function letter({ request, agency }) {
  return [
    request.danger && emergency(request),
    h("p", {}, letterAsks(agency.name, spanText(request.from_ms, request.to_ms), t)),
    h("blockquote", {}, request.text),
    terms(letterTerms(request, time(request.expires_ms), t)),
    h("p", { class: "ok muted" }, t("release.officers_checked", { agency: agency.name })),
  ];
}

/** @param {EvidenceRequest} request */
function emergency({ danger }) {
  return h(
    "section",
    { class: "danger", id: "danger", "aria-labelledby": "danger-title" },
    h("h2", { id: "danger-title" }, t("release.emergency")),
    h("p", {}, t("release.danger")),
    h("blockquote", {}, danger),
    h("p", { class: "muted" }, t("release.emergency_help")),
  );
}
