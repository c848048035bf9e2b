/**
 * An officer's request: written in the form, made canonical, signed by passkey, published.
 * @module
 */
import { signDocument } from "./browser/passkey.js";
import { Refused, guarded, pageData, post, say, t } from "./page.js";
import { canonical, newId, parseCanonical } from "./protocol/encoding.js";
import { REQUEST_TAG } from "./protocol/requests.js";

/** @typedef {import("./protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null, rp_id: string}} Officer */

const REQUEST_LIFE_MS = 7 * 24 * 3600 * 1000;
const DAY_MS = 24 * 3600 * 1000;
const HOUR_MS = 3600 * 1000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("request"));
const officer = /** @type {Officer} */ (pageData("officer"));

/** @returns {EvidenceRequest} what the form says */
function written() {
  const data = new FormData(form);
  const field = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
  const moment = (/** @type {string} */ name) => new Date(field(name)).getTime();
  const typed = field("cells").split(/[\s,;]+/).filter(Boolean);
  const cells = [...new Set([...data.getAll("cell").map(String), ...typed])];
  if (cells.length === 0) throw new Refused(t("no_cells"));
  const created_ms = Date.now();
  return {
    v: 1,
    domain: REQUEST_TAG,
    id: newId(),
    agency: officer.agency,
    officer_id: officer.officer_id,
    officer_name: officer.name,
    contact: field("contact"),
    case_number: field("case_number").toUpperCase(),
    incident_type: field("incident_type"),
    text: field("text").replaceAll("\r\n", "\n"),
    cells,
    from_ms: moment("from"),
    to_ms: moment("to"),
    retention_days: Number(field("retention_days")),
    onward_sharing: field("onward_sharing") === "prosecutor" ? "prosecutor" : "none",
    created_ms,
    expires_ms: created_ms + REQUEST_LIFE_MS,
  };
}

async function publish() {
  if (officer.certificate === null) return;
  const certificate = /** @type {OfficerCertificate} */ (
    parseCanonical(officer.certificate.certificate)
  );
  const request = canonical(written());
  say(t("signing_in"));
  const assertion = await signDocument({
    tag: REQUEST_TAG,
    document: request,
    credentialId: certificate.passkey.credential_id,
    rpId: certificate.passkey.rp_id,
  });
  say(t("publishing"));
  const signed = { request, assertion, officer: officer.certificate };
  const { id } = await post("/agency/requests", { signed });
  say(t("published"));
  location.assign(`/agency/requests/${id}`);
}

/** Sets the window's fields to the last hour and their limits to the last 30 days. */
function prepareWindow() {
  const local = (/** @type {number} */ ms) => {
    const zone = new Date(ms).getTimezoneOffset() * 60_000;
    return new Date(ms - zone).toISOString().slice(0, 19);
  };
  const fields = { from: Date.now() - HOUR_MS, to: Date.now() };
  for (const [name, ms] of Object.entries(fields)) {
    const input = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    input.value ||= local(ms);
    input.min = local(Date.now() - 30 * DAY_MS);
  }
}

prepareWindow();
// The relay's key decides by certificate; a demo passkey is recognised by itself.
document.getElementById("demo-passkey")?.closest("p")?.toggleAttribute("hidden", true);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (document.getElementById("publish"));
  guarded(button, publish);
});
