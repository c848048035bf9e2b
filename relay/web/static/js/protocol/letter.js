/**
 * The letter about a request: its texts for an owner in the app, and as a preview for the officer
 * who writes it. The words are the app's own (its `release.*` texts).
 * @module
 */

/** @typedef {import("./documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */
/** @typedef {Pick<EvidenceRequest, "danger" | "text" | "case_number" | "incident_type" | "officer_name" | "cosigner_name" | "contact" | "reason" | "retention_days" | "onward_sharing">} Read */

/** @param {Pick<EvidenceRequest, "danger">} request @param {string} agency its name @param {Translate} t */
export function letterTitle({ danger }, agency, t) {
  return t(danger ? "release.title_emergency" : "release.title", { agency });
}

/** @param {string} agency @param {string} span from when to when, as the reader writes it @param {Translate} t */
export function letterAsks(agency, span, t) {
  return t("release.asks", { agency, span });
}

/**
 * The contract's lines: the key of each line's label, and what it says.
 * @template T
 * @param {Read} request @param {T} until when it ends @param {Translate} t
 * @returns {[string, string | T][]}
 */
export function letterTerms(request, until, t) {
  return [
    ["release.case", request.case_number],
    ["release.incident", t(`incident.${request.incident_type}`)],
    ["release.officer", request.officer_name],
    ["release.cosigner", request.cosigner_name],
    ["release.contact", request.contact],
    ...(request.reason ? /** @type {[string, string][]} */ ([["release.reason", request.reason]]) : []),
    ["release.keep", t("release.days", { days: request.retention_days })],
    ["release.share", t(`release.sharing_${request.onward_sharing}`)],
    ["release.until", until],
  ];
}
