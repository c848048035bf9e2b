/**
 * The page of a request's outcome: signed by the officer's passkey, with a text for their agency.
 *
 * A request that still stands is withdrawn first, by a signature of its own: doorbells obey that
 * word, and its outcome says that the case was solved.
 * @module
 */
import { signDocument } from "./browser/passkey.js";
import { Refused, guarded, pageData, post, say, t } from "./page.js";
import { parseCanonical } from "./protocol/encoding.js";
import { OUTCOME_TAG, outcomeText } from "./protocol/outcomes.js";
import { WITHDRAW_TAG, withdrawalText } from "./protocol/requests.js";

/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null}} Officer */
/** @typedef {{id: string, digest: string, is_open: boolean, is_withdrawn: boolean}} ToSign */

const officer = /** @type {Officer} */ (pageData("officer"));
const asked = /** @type {ToSign} */ (pageData("to-sign"));
const path = `/agency/requests/${asked.id}`;
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("outcome"));
const button = /** @type {HTMLButtonElement | null} */ (document.getElementById("file"));

/** @param {string} tag @param {string} document */
async function sign(tag, document) {
  if (officer.certificate === null) throw new Refused(t("cancelled"));
  const text = officer.certificate.certificate;
  const { passkey } = /** @type {OfficerCertificate} */ (parseCanonical(text));
  const { credential_id: credentialId, rp_id: rpId } = passkey;
  const assertion = await signDocument({ tag, document, credentialId, rpId });
  return { assertion, officer: officer.certificate };
}

async function withdraw() {
  const { agency, officer_id } = officer;
  say(t("outcome_first"));
  const withdrawal = withdrawalText({ request_digest: asked.digest, agency, officer_id });
  await post(`${path}/withdraw`, { signed: { withdrawal, ...(await sign(WITHDRAW_TAG, withdrawal)) } });
  asked.is_open = false; // a second try, after a cancelled prompt, only files
  asked.is_withdrawn = true;
}

/** @param {HTMLFormElement} filled */
async function file(filled) {
  const fields = new FormData(filled);
  const outcome = /** @type {"used" | "not_used" | null} */ (fields.get("outcome"));
  if (outcome === null) throw new Refused(t("outcome_choose"));
  const isClosing = filled.dataset.isClosing === "true" || asked.is_open;
  if (asked.is_open) {
    if (!confirm(t("outcome_sure"))) return;
    filled.dataset.isClosing = "true";
    await withdraw();
    say(t("outcome_second"));
  } else say(t("signing_in"));
  const { agency, officer_id } = officer;
  const is_resolved = isClosing || fields.get("is_resolved") === "on";
  const text = outcomeText({ request_digest: asked.digest, agency, officer_id, outcome, is_resolved });
  const signed = { outcome: text, ...(await sign(OUTCOME_TAG, text)) };
  say(t("sending"));
  await post(`${path}/outcome`, { signed, private_text: fields.get("private_text") ?? "" });
  say(t("outcome_filed"));
  location.reload();
}

button?.removeAttribute("hidden");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(button, () => file(form));
});
