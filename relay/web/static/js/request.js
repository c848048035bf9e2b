/**
 * The module of the request form: checks the fields, makes the request canonical, signs it by
 * passkey, and hands it in for the second officer.
 * @module
 */
import { Checks } from "./request_form/checks.js";
import { cosignerOf, prepareWindow, readForm, renewalOf, requestOf, showReason } from "./request_form/form.js";
import { Preview } from "./request_form/preview.js";
import { openPresets } from "./request_form/presets.js";
import { DraftAutosave } from "./request_form/autosave.js";
import { signDocument } from "./browser/passkey.js";
import { loadWhenNear } from "./map/lazy_load.js";
import { Refused, guarded, pageData, post, say, t } from "./page.js";
import { canonical, parseCanonical } from "./protocol/encoding.js";
import { REQUEST_TAG } from "./protocol/requests.js";
import { drawTerms } from "./terms.js";

/** @typedef {import("./map/area.js").Area} Area */
/** @typedef {import("./protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null}} Officer */

const form = /** @type {HTMLFormElement} */ (document.getElementById("request"));
const button = /** @type {HTMLButtonElement} */ (document.getElementById("publish"));
const officer = /** @type {Officer} */ (pageData("officer"));
const renewed = /** @type {EvidenceRequest | null} */ (pageData("renewed"));
const limits = { lifeMs: Number(form.dataset.maxLifeMs), longMs: Number(form.dataset.longWindowMs) };

/** @returns {EvidenceRequest} what the form says */
function written() {
  return requestOf(readForm(form), officer, cosignerOf(form), limits);
}

/** @param {EvidenceRequest} asked @param {string | null} form_id the draft that it was written from */
async function signAndSend(asked, form_id) {
  if (officer.certificate === null) return;
  const certificate = /** @type {OfficerCertificate} */ (
    parseCanonical(officer.certificate.certificate)
  );
  const request = canonical(asked);
  say(t("signing_in"));
  const assertion = await signDocument({
    tag: REQUEST_TAG,
    document: request,
    credentialId: certificate.passkey.credential_id,
    rpId: certificate.passkey.rp_id,
  });
  say(t("sending"));
  const draft = { request, assertion, officer: officer.certificate };
  const { id } = await post("/agency/requests", { draft, form_id });
  say(t("handed_in"));
  location.assign(`/agency/requests/${id}`);
}

/** @param {HTMLElement} place @param {() => void} changed @returns {Promise<Area>} the area, once somebody came near it */
function openArea(place, changed) {
  return new Promise((resolve) => {
    loadWhenNear(place, async () => {
      const { openChooser } = await import("./map/chooser.js");
      const area = await openChooser(place, pageData("chosen") ?? []);
      area.addEventListener("change", changed);
      resolve(area);
    });
  });
}

function openForm() {
  prepareWindow(form);
  form.noValidate = true; // what is wrong is said beside the field, all at once
  const checks = new Checks(form);
  const saving = new DraftAutosave(form);
  const place = /** @type {HTMLDetailsElement} */ (document.getElementById("preview"));
  const preview = new Preview(place, written, { agency: form.dataset.agency ?? "", longMs: limits.longMs });
  const changed = () => {
    showReason(form, limits.longMs);
    preview.soon();
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  changed();
  const area = openArea(/** @type {HTMLElement} */ (document.getElementById("area")), () => {
    checks.touch("cells");
    saving.soon();
    preview.soon();
  });
  openPresets(form, area);
  return async () => {
    say(t("checking"));
    await checks.insist();
    saving.stop();
    try {
      await signAndSend(written(), saving.id);
    } catch (error) {
      saving.isOver = false;
      throw error;
    }
  };
}

/** @param {EvidenceRequest} old */
function openRenewal(old) {
  drawTerms(/** @type {HTMLElement} */ (document.querySelector("dl.terms")), old);
  return () => signAndSend(renewalOf(old, officer, cosignerOf(form), limits.lifeMs), null);
}

const handIn = renewed === null ? openForm() : openRenewal(renewed);
button.hidden = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(button, async () => {
    if (officer.certificate === null) throw new Refused(t("cancelled"));
    await handIn();
  });
});
