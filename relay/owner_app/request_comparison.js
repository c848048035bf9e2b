/**
 * The comparison of a request from the relay with the one that the doorbell read in the public
 * register. No page here.
 * @module
 */

/** @typedef {import("./decision_notes.js").Match} Match */
/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./vendor/protocol/documents.js").Agency} Agency */
/** @typedef {import("./vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {{request: EvidenceRequest, digest: string, agency: Agency}} Shown by the relay */

/**
 * Compares what is shown with each doorbell's own word on that request.
 * @param {Household} household @param {string} requestId @param {Shown} shown
 * @returns {{same: Match[], different: Match[]}} by doorbell; none: no doorbell said that it concerns it
 */
export function compare(household, requestId, shown) {
  const matches = household.matches.filter((match) => isAbout(match, requestId, shown));
  return {
    same: matches.filter((match) => isSame(match, requestId, shown)),
    different: matches.filter((match) => !isSame(match, requestId, shown)),
  };
}

/** @param {Match} match @param {string} requestId @param {Shown} shown */
function isAbout({ request_id, request_digest }, requestId, { digest }) {
  return request_id === requestId || request_digest === digest;
}

/** @param {Match} match @param {string} requestId @param {Shown} shown */
function isSame(match, requestId, { request, digest, agency }) {
  return (
    match.request_id === requestId &&
    request.id === requestId &&
    match.request_digest === digest &&
    match.agency_name === agency.name &&
    match.is_emergency === (request.danger !== "")
  );
}
