/**
 * The page of a request: a short, plain letter with the owner's choices. Who asks, for what,
 * exactly which minutes, who could open them, and answers that weigh the same. Ignoring it is the
 * first thing named.
 *
 * Nothing can be given here but to a request that the doorbell itself read in the public register:
 * its digest, the agency's name and whether it is an emergency come in the doorbell's own sealed
 * note, and what the relay shows must be the same.
 *
 * What is fetched for this page is the same for every request, whether a doorbell was asked or not.
 * @module
 */
import { ApiError } from "../api.js";
import { PackageStates } from "../package_states.js";
import { fetchRequests, loadBackForAll } from "../published_requests.js";
import { compare } from "../request_comparison.js";
import { h } from "../dom.js";
import { spanText, t, time } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { letterAsks, letterTerms, letterTitle } from "../vendor/protocol/letter.js";
import { apart } from "../vendor/protocol/plain_text.js";
import { checkRequest } from "../vendor/protocol/requests.js";
import { answers, declineOnly } from "./other_decisions.js";
import { releasedOr } from "./released_clips.js";
import { letter } from "./letter.js";
import { terms } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../decision_notes.js").Match} Match */
/** @typedef {import("../vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("../vendor/protocol/documents.js").Agency} Agency */

/** @param {Context} context */
export async function releasePage(context) {
  const { household, relay, parts } = context;
  const [requestId] = parts;
  const packages = new PackageStates(context);
  const [items] = await Promise.all([fetchRequests(relay), household.heard()]);
  await loadBackForAll(household, items);
  const item = items.find((one) => one.request.id === requestId);
  if (item === undefined) throw new ApiError(404, "not_found", "the relay lists no such request");
  const { signed, digest, agency, state } = item;
  const request = await checkRequest(signed, agency);
  const shown = { request, digest, agency };
  const { same, different } = compare(household, requestId, shown);
  if (different.length > 0) return somethingElse(context, shown, different);
  const isOver = state !== "open" || request.expires_ms <= nowMs();
  const doors = same.map((match) => door(context, { ...shown, device: match.device }, { packages, isOver, isOnly: same.length === 1 }));
  return {
    title: letterTitle(request, agency.name, t),
    body: [
      h(
        "article",
        { class: request.danger ? "letter emergency" : "letter", id: "release" },
        h("p", { class: "first", "data-testid": "may-ignore" }, t("release.ignore")),
        same.some(({ is_example }) => is_example) && h("p", { class: "notice", "data-testid": "invented-town" }, t("release.example")),
        same.some(({ is_reminder }) => is_reminder) && h("p", { class: "muted", id: "reminder" }, t("release.reminder")),
        request.danger && emergency(request),
        whoAsks(shown),
        doors.length ? doors : h("p", { class: "notice" }, t("release.not_yours")),
      ),
    ],
  };
}

/** @param {Context} context @param {Asked} asked @param {{packages: PackageStates, isOver: boolean, isOnly: boolean}} how */
function door(context, asked, { packages, isOver, isOnly }) {
  const name = context.household.doorbell(asked.device)?.name ?? asked.device;
  return h(
    "section",
    { "data-device": asked.device },
    !isOnly && h("h2", {}, name),
    releasedOr(context, asked, packages, () =>
      isOver ? [h("p", { class: "notice", id: "is-over" }, t("release.over"))] : letter(context, asked, answers(context, asked)),
    ),
  );
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

/** @param {{request: EvidenceRequest, agency: Agency}} shown */
function whoAsks({ request, agency }) {
  return [
    h("p", {}, letterAsks(agency.name, spanText(request.from_ms, request.to_ms), t)),
    h("blockquote", {}, request.text),
    terms(letterTerms(request, time(request.expires_ms), t)),
    h("p", { class: "ok muted" }, t("release.officers_checked", { agency: agency.name })),
  ];
}

/**
 * The relay shows something else than the doorbell read: nothing can be given.
 * @param {Context} context @param {{request: EvidenceRequest, agency: Agency}} shown @param {Match[]} different
 */
function somethingElse(context, { request, agency }, different) {
  const [match] = different;
  return {
    title: t("release.different_title"),
    body: [
      h(
        "div",
        { class: "warning", id: "different", role: "alert" },
        h("p", {}, t("release.different")),
        terms([
          ["release.doorbell_read", saidBy(match.agency_name, match.is_emergency)],
          ["release.relay_shows", saidBy(agency.name, request.danger !== "")],
        ]),
        h("p", {}, t("release.different_help")),
      ),
      ...different.map(({ device, request_digest }) => declineOnly(context, { device, digest: request_digest })),
    ],
  };
}

/** @param {string} agency @param {boolean} isEmergency */
function saidBy(agency, isEmergency) {
  return isEmergency ? `${apart(agency)}, ${t("requests.emergency")}` : agency;
}
