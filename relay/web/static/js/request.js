/**
 * An officer's request, or a renewal: written in the form, made canonical, signed by passkey, and
 * handed in for the second officer.
 * @module
 */
import { signDocument } from "./browser/passkey.js";
import { Refused, guarded, pageData, post, say, t } from "./page.js";
import { canonical, newId, parseCanonical } from "./protocol/encoding.js";
import { withoutMisleading } from "./protocol/plain_text.js";
import { REQUEST_TAG } from "./protocol/requests.js";
import { drawTerms } from "./terms.js";

/** @typedef {import("./protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null}} Officer */

const HOUR_MS = 3600 * 1000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("request"));
const officer = /** @type {Officer} */ (pageData("officer"));
const renewed = /** @type {EvidenceRequest | null} */ (pageData("renewed"));
const lifeMs = Number(form.dataset.maxLifeMs);

/** Who is chosen to co-sign it. */
function cosigner() {
  const choice = /** @type {HTMLSelectElement} */ (form.elements.namedItem("cosigner"));
  const { value, dataset } = choice.selectedOptions[0];
  return { id: value, name: dataset.name ?? "", role: dataset.role };
}

/** @returns {EvidenceRequest} the renewed request again, by this officer and from now on */
function renewal() {
  const { id, name } = cosigner();
  const created_ms = Date.now();
  const old = /** @type {EvidenceRequest} */ (renewed);
  return {
    ...old,
    id: newId(),
    officer_id: officer.officer_id,
    officer_name: officer.name,
    cosigner_id: id,
    cosigner_name: name,
    created_ms,
    expires_ms: created_ms + lifeMs,
    renews: old.id,
  };
}

/** @returns {EvidenceRequest} what the form says */
function written() {
  const data = new FormData(form);
  const field = (/** @type {string} */ name) => withoutMisleading(String(data.get(name) ?? "")).trim();
  const lines = (/** @type {string} */ name) => field(name).replaceAll("\r\n", "\n");
  const moment = (/** @type {string} */ name) => new Date(field(name)).getTime();
  const typed = field("cells").split(/[\s,;]+/).filter(Boolean);
  const cells = [...new Set([...data.getAll("cell").map(String), ...typed])];
  if (cells.length === 0) throw new Refused(t("no_cells"));
  const [from_ms, to_ms] = [moment("from"), moment("to")];
  const [reason, danger] = [lines("reason"), lines("danger")];
  const { id, name, role } = cosigner();
  const isLong = to_ms - from_ms > Number(form.dataset.longWindowMs);
  if (isLong && reason === "") throw new Refused(t("need_reason"));
  if (danger !== "" && role !== "approver") throw new Refused(t("need_approver"));
  const created_ms = Date.now();
  return {
    v: 1,
    domain: REQUEST_TAG,
    id: newId(),
    agency: officer.agency,
    officer_id: officer.officer_id,
    officer_name: officer.name,
    cosigner_id: id,
    cosigner_name: name,
    contact: field("contact"),
    case_number: field("case_number").toUpperCase(),
    incident_type: field("incident_type"),
    text: lines("text"),
    cells,
    from_ms,
    to_ms,
    retention_days: Number(field("retention_days")),
    onward_sharing: field("onward_sharing") === "prosecutor" ? "prosecutor" : "none",
    created_ms,
    expires_ms: created_ms + lifeMs,
    reason: isLong ? reason : "",
    danger,
  };
}

async function handIn() {
  if (officer.certificate === null) return;
  const certificate = /** @type {OfficerCertificate} */ (
    parseCanonical(officer.certificate.certificate)
  );
  const request = canonical(renewed === null ? written() : renewal());
  say(t("signing_in"));
  const assertion = await signDocument({
    tag: REQUEST_TAG,
    document: request,
    credentialId: certificate.passkey.credential_id,
    rpId: certificate.passkey.rp_id,
  });
  say(t("sending"));
  const draft = { request, assertion, officer: officer.certificate };
  const { id } = await post("/agency/requests", { draft });
  say(t("handed_in"));
  location.assign(`/agency/requests/${id}`);
}

/** Sets the window's fields to the last hour, and their limits to what may be asked for. */
function prepareWindow() {
  const local = (/** @type {number} */ ms) => {
    const zone = new Date(ms).getTimezoneOffset() * 60_000;
    return new Date(ms - zone).toISOString().slice(0, 19);
  };
  const fields = { from: Date.now() - HOUR_MS, to: Date.now() };
  for (const [name, ms] of Object.entries(fields)) {
    const input = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    input.value ||= local(ms);
    input.min = local(Date.now() - Number(form.dataset.maxAgeMs));
  }
}

if (renewed === null) prepareWindow();
else drawTerms(/** @type {HTMLElement} */ (document.querySelector("dl.terms")), renewed);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (document.getElementById("publish"));
  guarded(button, handIn);
});
