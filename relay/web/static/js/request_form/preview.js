/**
 * The preview of the owner's letter while the officer writes, by the owner's app's own module and
 * texts.
 * @module
 */
import { make } from "../map/elements.js";
import { pageData } from "../page.js";
import { letterAsks, letterTerms, letterTitle } from "../protocol/letter.js";
import { filledApart } from "../protocol/plain_text.js";

/** @typedef {import("../protocol/documents.js").EvidenceRequest} EvidenceRequest */

/** @type {Record<string, string>} */
const words = pageData("owner-words") ?? {};

/** @param {string} key @param {Record<string, string | number>} [values] */
function t(key, values = {}) {
  return filledApart(words[key] ?? key, values);
}

/** Draws a request as its owners will read it. @param {HTMLElement} article @param {EvidenceRequest} request @param {string} agency its name */
export function drawPreview(article, request, agency) {
  const { lang } = document.documentElement;
  const locale = navigator.languages.find((code) => code.startsWith(lang)) ?? lang;
  const digits = /** @type {const} */ ("2-digit");
  const window = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", hour: digits, minute: digits });
  const until = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", hour: digits, minute: digits });
  const isWindow = request.from_ms > 0 && request.to_ms >= request.from_ms;
  const span = isWindow ? window.formatRange(request.from_ms, request.to_ms) : "…";
  const unsaid = unsaidIn(request);
  article.classList.toggle("emergency", request.danger !== "");
  article.replaceChildren(
    make("p", { class: "letter-title" }, make("strong", {}, letterTitle(request, agency, t))),
    make("p", { class: "first" }, t("release.ignore")),
    ...danger(request),
    make("p", {}, letterAsks(agency, span, t)),
    make("blockquote", {}, request.text || "…"),
    make(
      "dl",
      { class: "terms" },
      letterTerms(request, until.format(request.expires_ms), t).flatMap(([key, text]) => [make("dt", {}, t(key)), make("dd", { "data-line": key }, unsaid.has(key) ? "…" : text || "…")]),
    ),
  );
}

/** @param {EvidenceRequest} request @returns {Set<string>} the lines of which nothing is chosen yet */
function unsaidIn({ incident_type: kind, retention_days: days }) {
  return new Set([...(kind ? [] : ["release.incident"]), ...(days ? [] : ["release.keep"])]);
}

/** @param {EvidenceRequest} request */
function danger({ danger: stated }) {
  if (stated === "") return [];
  return [
    make("p", {}, make("strong", {}, t("release.emergency"))),
    make("p", {}, t("release.danger")),
    make("blockquote", {}, stated),
    make("p", { class: "muted" }, t("release.emergency_help")),
  ];
}
