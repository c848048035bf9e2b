/**
 * The module of a request's own page: co-sign it, take it back before publication, or withdraw it
 * after.
 *
 * What is signed is the text that was handed in, word by word; and who is to co-sign reads what was
 * drawn from that text here, not what the relay drew (terms.js). Before that the button is dead.
 * @module
 */
import { signDocument } from "./browser/passkey.js";
import { Refused, guarded, pageData, post, say, t } from "./page.js";
import { parseCanonical } from "./protocol/encoding.js";
import {
  COSIGN_TAG,
  WITHDRAW_TAG,
  parseRequestUnverified,
  requestDigest,
  withdrawalText,
} from "./protocol/requests.js";
import { drawTerms } from "./terms.js";

/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null}} Officer */
/** @typedef {{id: string, request: string, digest: string}} ToSign */

const officer = /** @type {Officer} */ (pageData("officer"));
const asked = /** @type {ToSign} */ (pageData("to-sign"));
const path = `/agency/requests/${asked.id}`;

/** @param {string} tag @param {string} document */
async function sign(tag, document) {
  if (officer.certificate === null) throw new Refused(t("cancelled"));
  const certificate = /** @type {OfficerCertificate} */ (
    parseCanonical(officer.certificate.certificate)
  );
  say(t("signing_in"));
  const { credential_id: credentialId, rp_id: rpId } = certificate.passkey;
  const assertion = await signDocument({ tag, document, credentialId, rpId });
  say(t("sending"));
  return { assertion, certificate: officer.certificate };
}

/** Draws what is to be co-signed from the text itself, and lets the officer sign that. */
async function showWhatIsSigned() {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById("cosign"));
  const list = /** @type {HTMLElement} */ (document.querySelector("dl.terms"));
  const request = parseRequestUnverified(asked);
  const isSame = (await requestDigest(asked)) === asked.digest && request.id === asked.id;
  const isMine = request.cosigner_id === officer.officer_id && request.agency === officer.agency;
  if (!isSame || !isMine) throw new Refused(t("changed"));
  drawTerms(list, request);
  button.disabled = button.dataset.maySign !== "true";
}

async function cosign() {
  const { assertion, certificate } = await sign(COSIGN_TAG, asked.request);
  const cosigned = { cosignature: assertion, cosigner: certificate };
  await post(`${path}/cosign`, { cosigned });
  say(t("cosigned"));
  location.reload();
}

async function takeBack() {
  await post(`${path}/take-back`);
  say(t("taken_back"));
  location.reload();
}

async function withdraw() {
  if (!confirm(t("withdraw_sure"))) return;
  const { agency, officer_id } = officer;
  const withdrawal = withdrawalText({ request_digest: asked.digest, agency, officer_id });
  const { assertion, certificate } = await sign(WITHDRAW_TAG, withdrawal);
  await post(`${path}/withdraw`, { signed: { withdrawal, assertion, officer: certificate } });
  say(t("withdrawn"));
  location.reload();
}

if (document.getElementById("cosign") !== null) {
  showWhatIsSigned().catch((error) => {
    console.warn(error);
    say(t("changed"), { isBad: true });
  });
}
for (const [id, action] of Object.entries({ cosign, "take-back": takeBack, withdraw })) {
  const button = /** @type {HTMLButtonElement | null} */ (document.getElementById(id));
  button?.addEventListener("click", () => guarded(button, action));
}
