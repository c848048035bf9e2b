/**
 * The page of an agency's posts in the feed: signs one by the officer's passkey, or co-signs one.
 *
 * Who is to co-sign reads what was drawn here from the text that is signed, not what the relay drew.
 * @module
 */
import { signDocument } from "./browser/passkey.js";
import { Refused, guarded, pageData, post, say, showLocalTimes, t } from "./page.js";
import { newId, parseCanonical } from "./protocol/encoding.js";
import { POST_COSIGN_TAG, POST_TAG, parsePostUnverified, postText } from "./protocol/feed_posts.js";
import { withoutMisleading } from "./protocol/plain_text.js";
import { nowMs } from "./town_time.js";

/** @typedef {import("./protocol/documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./protocol/documents.js").SignedCertificate} SignedCertificate */
/** @typedef {{officer_id: string, name: string, agency: string, certificate: SignedCertificate | null}} Officer */

const HOUR_MS = 3600 * 1000;
const officer = /** @type {Officer} */ (pageData("officer"));
const waiting = /** @type {{id: string, post: string}[]} */ (pageData("to-cosign"));
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("post"));
const button = /** @type {HTMLButtonElement | null} */ (document.getElementById("sign"));

/** @param {string} tag @param {string} document */
async function sign(tag, document) {
  if (officer.certificate === null) throw new Refused(t("cancelled"));
  const { passkey } = /** @type {OfficerCertificate} */ (parseCanonical(officer.certificate.certificate));
  say(t("signing_in"));
  const assertion = await signDocument({ tag, document, credentialId: passkey.credential_id, rpId: passkey.rp_id });
  say(t("sending"));
  return { assertion, certificate: officer.certificate };
}

/** @param {HTMLFormElement} filled */
async function handIn(filled) {
  const data = new FormData(filled);
  const field = (/** @type {string} */ name) => withoutMisleading(String(data.get(name) ?? "")).replaceAll("\r\n", "\n").trim();
  const cosigner = field("cosigner");
  const document = postText({
    id: newId(),
    agency: officer.agency,
    officer_id: officer.officer_id,
    officer_name: officer.name,
    kind: field("kind"),
    cell: field("cell"),
    hour_ms: Math.floor(new Date(field("hour")).getTime() / HOUR_MS) * HOUR_MS,
    text: field("text"),
    created_ms: nowMs(),
    ...(cosigner === "" ? {} : { cosigner_id: cosigner }),
  });
  const { assertion, certificate } = await sign(POST_TAG, document);
  await post("/agency/feed", { signed: { post: document, assertion, officer: certificate } });
  say(t(cosigner === "" ? "agency_feed.handed_in" : "agency_feed.waits_for_approver"));
  location.reload();
}

/** The number that is signed, behind the place's name, which is the relay's word. @param {string} cell */
function cellNumber(cell) {
  const [more, summary, number] = [document.createElement("details"), document.createElement("summary"), document.createElement("code")];
  summary.textContent = t("agency_feed.term.number");
  number.textContent = cell;
  more.append(summary, number);
  return more;
}

/** @param {HTMLElement} card @param {{id: string, post: string}} one */
function offerCosigning(card, one) {
  const said = parsePostUnverified(one.post);
  if (said.id !== one.id || said.cosigner_id !== officer.officer_id || said.agency !== officer.agency) throw new Refused(t("changed"));
  const list = /** @type {HTMLElement} */ (card.querySelector("dl"));
  const place = document.querySelector(`#cell option[value="${CSS.escape(said.cell)}"]`)?.textContent ?? "";
  const hour = document.createElement("time");
  hour.dataset.ms = String(said.hour_ms);
  for (const [name, value] of Object.entries({ name: said.officer_name, cell: place || said.cell, hour, text: said.text })) {
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = t(`agency_feed.term.${name}`);
    detail.append(value);
    detail.className = name === "text" ? "text" : "";
    if (name === "cell" && place !== "") detail.append(cellNumber(said.cell));
    list.append(term, detail);
  }
  showLocalTimes();
  const cosign = /** @type {HTMLButtonElement} */ (card.querySelector("button"));
  cosign.disabled = officer.certificate === null;
  cosign.addEventListener("click", () =>
    guarded(cosign, async () => {
      const { assertion, certificate } = await sign(POST_COSIGN_TAG, one.post);
      await post(`/agency/feed/${one.id}/cosign`, { cosigned: { cosignature: assertion, cosigner: certificate } });
      say(t("agency_feed.shown"));
      location.reload();
    }),
  );
}

/** Sets the hour to the current one, and its limits. @param {HTMLFormElement} filled */
function prepareHour(filled) {
  const input = /** @type {HTMLInputElement} */ (filled.elements.namedItem("hour"));
  const local = (/** @type {number} */ ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 13) + ":00";
  input.value = local(nowMs());
  input.max = local(nowMs());
  input.min = local(nowMs() - Number(filled.dataset.maxAgeMs) + HOUR_MS);
}

if (form !== null) {
  prepareHour(form);
  button?.removeAttribute("hidden");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(button, () => handIn(form));
  });
}
for (const one of waiting) {
  const card = /** @type {HTMLElement | null} */ (document.querySelector(`[data-cosign="${one.id}"]`));
  if (card === null) continue;
  try {
    offerCosigning(card, one);
  } catch (error) {
    console.warn(error);
    say(t("changed"), { isBad: true });
  }
}
