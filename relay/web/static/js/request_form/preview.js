/**
 * The owner's letter beside the form, drawn while the officer writes by the owner's app's own module
 * and texts, in English or Swedish. A line without its field says which field is missing.
 * @module
 */
import { make } from "../map/elements.js";
import { pageData } from "../page.js";
import { letterAsks, letterTerms, letterTitle } from "../protocol/letter.js";
import { filledApart } from "../protocol/plain_text.js";

/** @typedef {import("../protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */

const PAUSE_MS = 120;
/** Where the time is filled in, which may be a link. */
const SPAN = "{span}";
/** The field of each line of the letter that is never left out. @type {[string, string][]} */
const LINES = [
  ["release.case", "case_number"],
  ["release.incident", "incident_type"],
  ["release.contact", "contact"],
  ["release.reason", "reason"],
  ["release.keep", "retention_days"],
  ["release.cosigner", "cosigner"],
];
/** Where two columns fit beside each other, as in request_form.css. */
const WIDE = "(min-width: 72rem)";

/** @type {Record<string, Record<string, string>>} */
const words = pageData("owner-words") ?? {};

export class Preview {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  language = document.documentElement.lang;

  /** @param {HTMLDetailsElement} place @param {() => EvidenceRequest} written @param {{agency: string, longMs: number}} about the agency's name, and from which window on a reason is needed */
  constructor(place, written, { agency, longMs }) {
    this.written = written;
    this.agency = agency;
    this.longMs = longMs;
    this.article = /** @type {HTMLElement} */ (place.querySelector("article"));
    this.missing = /** @type {HTMLElement} */ (place.querySelector("#missing"));
    this.buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (place.querySelectorAll("[data-letter]"));
    for (const button of this.buttons) button.addEventListener("click", () => this.speak(button.dataset.letter ?? ""));
    place.hidden = false;
    const wide = matchMedia(WIDE);
    wide.addEventListener("change", () => (place.open = wide.matches));
    place.open = wide.matches;
    this.speak(this.language);
  }

  /** Draws it at the next pause in writing. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(), PAUSE_MS);
  }

  /** @param {string} language */
  speak(language) {
    this.language = language;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.letter === language));
    this.draw();
  }

  draw() {
    const known = words[this.language] ?? {};
    /** @type {Translate} */
    const t = (key, values = {}) => filledApart(known[key] ?? key, values);
    const request = this.written();
    const missing = missingIn(request, this.longMs);
    this.article.lang = this.missing.lang = this.language;
    this.article.classList.toggle("emergency", request.danger !== "");
    this.article.replaceChildren(...letter(request, missing, { agency: this.agency, language: this.language, t }));
    const names = [...missing].map((field) => t(`missing.${field}`));
    const list = new Intl.ListFormat(this.language, { type: "conjunction" }).format(names);
    this.missing.textContent = names.length === 0 ? t("missing.none") : t("missing.all", { fields: list });
  }
}

/** @param {EvidenceRequest} request @param {number} longMs @returns {Set<string>} the fields without which it can't be handed in */
function missingIn(request, longMs) {
  const { from_ms, to_ms } = request;
  const isWindow = from_ms > 0 && to_ms >= from_ms;
  return new Set([
    ...(request.case_number ? [] : ["case_number"]),
    ...(request.incident_type ? [] : ["incident_type"]),
    ...(request.text ? [] : ["text"]),
    ...(isWindow ? [] : ["from"]),
    ...(to_ms - from_ms > longMs && !request.reason ? ["reason"] : []),
    ...(request.cells.length > 0 ? [] : ["cells"]),
    ...(request.contact ? [] : ["contact"]),
    ...(request.retention_days ? [] : ["retention_days"]),
    ...(request.cosigner_id ? [] : ["cosigner"]),
  ]);
}

/** @param {EvidenceRequest} request @param {Set<string>} missing @param {{agency: string, language: string, t: Translate}} how */
function letter(request, missing, { agency, language, t }) {
  const [span, until] = timesOf(request, language);
  const [before = "", after = ""] = letterAsks(agency, SPAN, t).split(SPAN);
  const shown = missing.has("reason") ? { ...request, reason: "…" } : request;
  const fields = new Map(LINES.filter(([, field]) => missing.has(field)));
  return [
    make("p", { class: "letter-title" }, make("strong", {}, letterTitle(request, agency, t))),
    make("p", { class: "first" }, t("release.ignore")),
    ...danger(request, t),
    make("p", {}, before, missing.has("from") ? gap("from", t) : span, after),
    make("blockquote", {}, missing.has("text") ? make("p", {}, gap("text", t)) : request.text),
    make(
      "dl",
      { class: "terms" },
      letterTerms(shown, until, t).flatMap(([key, text]) => {
        const field = fields.get(key);
        return [make("dt", {}, t(key)), make("dd", { "data-line": key }, field === undefined ? text || "…" : gap(field, t))];
      }),
    ),
  ];
}

/** @param {EvidenceRequest} request @param {string} language @returns {[string, string]} from when to when, and when it ends */
function timesOf({ from_ms, to_ms, expires_ms }, language) {
  const locale = navigator.languages.find((code) => code.startsWith(language)) ?? language;
  const digits = /** @type {const} */ ("2-digit");
  const window = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", hour: digits, minute: digits });
  const until = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", hour: digits, minute: digits });
  return [to_ms >= from_ms ? window.formatRange(from_ms, to_ms) : "", until.format(expires_ms)];
}

/** A link to the field that is missing here. @param {string} field @param {Translate} t */
function gap(field, t) {
  const focus = () => document.getElementById(field)?.focus();
  return make("a", { class: "missing", href: `#${field}`, "data-missing": field, onclick: focus }, t("missing.one", { field: t(`missing.${field}`) }));
}

/** @param {EvidenceRequest} request @param {Translate} t */
function danger({ danger: stated }, t) {
  if (stated === "") return [];
  return [
    make("p", {}, make("strong", {}, t("release.emergency"))),
    make("p", {}, t("release.danger")),
    make("blockquote", {}, stated),
    make("p", { class: "muted" }, t("release.emergency_help")),
  ];
}
