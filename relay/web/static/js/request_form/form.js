/**
 * The request form: read with local times, filled in, and turned into the request that is signed.
 * Names are those of relay.request.drafts.DraftForm.
 * @module
 */
import { withoutMisleading } from "../protocol/plain_text.js";
import { newId } from "../protocol/encoding.js";
import { REQUEST_TAG } from "../protocol/requests.js";
import { nowMs } from "../town_time.js";

/** @typedef {import("../protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {{officer_id: string, name: string, agency: string}} Officer */
/** @typedef {{id: string, name: string, role: string | undefined}} Cosigner */
/** @typedef {{case_number: string, incident_type: string, text: string, cells: string[], from_ms: number | null, to_ms: number | null, reason: string, contact: string, retention_days: number | null, onward_sharing: string, danger: string, cosigner_id: string}} DraftForm */

const HOUR_MS = 3600 * 1000;

/** Who is chosen to co-sign it. @param {HTMLFormElement} form @returns {Cosigner} */
export function cosignerOf(form) {
  const choice = /** @type {HTMLSelectElement} */ (form.elements.namedItem("cosigner"));
  const chosen = choice.selectedOptions[0];
  return { id: chosen?.value ?? "", name: chosen?.dataset.name ?? "", role: chosen?.dataset.role };
}

/** @param {HTMLFormElement} form @returns {DraftForm} what stands in it */
export function readForm(form) {
  const data = new FormData(form);
  const field = (/** @type {string} */ name) => withoutMisleading(String(data.get(name) ?? "")).trim();
  const lines = (/** @type {string} */ name) => field(name).replaceAll("\r\n", "\n");
  const number = (/** @type {string} */ text) => (/^\d{1,5}$/.test(text) ? Number(text) : null);
  return {
    case_number: field("case_number").toUpperCase(),
    incident_type: field("incident_type"),
    text: lines("text"),
    cells: data.getAll("cell").map(String),
    from_ms: momentMs(field("from")),
    to_ms: momentMs(field("to")),
    reason: lines("reason"),
    contact: field("contact"),
    retention_days: number(field("retention_days")),
    onward_sharing: field("onward_sharing"),
    danger: lines("danger"),
    cosigner_id: cosignerOf(form).id,
  };
}

/**
 * @param {DraftForm} asked what was read and checked @param {Officer} officer @param {Cosigner} cosigner
 * @param {{lifeMs: number, longMs: number}} limits
 * @returns {EvidenceRequest}
 */
export function requestOf(asked, officer, cosigner, { lifeMs, longMs }) {
  const created_ms = nowMs();
  const [from_ms, to_ms] = [asked.from_ms ?? 0, asked.to_ms ?? 0];
  return {
    v: 1,
    domain: REQUEST_TAG,
    id: newId(),
    agency: officer.agency,
    officer_id: officer.officer_id,
    officer_name: officer.name,
    cosigner_id: cosigner.id,
    cosigner_name: cosigner.name,
    contact: asked.contact,
    case_number: asked.case_number,
    incident_type: asked.incident_type,
    text: asked.text,
    cells: asked.cells,
    from_ms,
    to_ms,
    retention_days: asked.retention_days ?? 0,
    onward_sharing: asked.onward_sharing === "prosecutor" ? "prosecutor" : "none",
    created_ms,
    expires_ms: created_ms + lifeMs,
    reason: to_ms - from_ms > longMs ? asked.reason : "",
    danger: asked.danger,
  };
}

/**
 * @param {EvidenceRequest} old @param {Officer} officer @param {Cosigner} cosigner @param {number} lifeMs
 * @returns {EvidenceRequest} the same again, by this officer and from now on
 */
export function renewalOf(old, officer, cosigner, lifeMs) {
  const created_ms = nowMs();
  return {
    ...old,
    id: newId(),
    officer_id: officer.officer_id,
    officer_name: officer.name,
    cosigner_id: cosigner.id,
    cosigner_name: cosigner.name,
    created_ms,
    expires_ms: created_ms + lifeMs,
    renews: old.id,
  };
}

/** Sets the window's fields to what was drafted, or the last hour, in local time, and their limits. @param {HTMLFormElement} form */
export function prepareWindow(form) {
  for (const [name, ms] of Object.entries({ from: nowMs() - HOUR_MS, to: nowMs() })) {
    const input = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    input.value = localField(Number(input.dataset.ms) || ms);
    input.min = localField(nowMs() - Number(form.dataset.maxAgeMs));
  }
}

/** Shows the field for a reason where the window needs one; what stands in it stays. @param {HTMLFormElement} form @param {number} longMs */
export function showReason(form, longMs) {
  const { from_ms, to_ms } = readForm(form);
  const place = /** @type {HTMLElement} */ (document.getElementById("reason-field"));
  place.hidden = (to_ms ?? 0) - (from_ms ?? 0) <= longMs;
}

/** @param {string} text @returns {number | null} */
function momentMs(text) {
  const ms = new Date(text).getTime();
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : null;
}

/** @param {number} ms */
function localField(ms) {
  const zone = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - zone).toISOString().slice(0, 19);
}
