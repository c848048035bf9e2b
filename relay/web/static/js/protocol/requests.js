/**
 * Evidence requests and officers' certificates, as in firmware/protocol/requests.py.
 * @module
 */
import { ID_PATTERN, LAST_MS, WireError, canonical, join, parseCanonical, sha256Hex, unb64u, utf8 } from "./encoding.js";
import { isLine, isPlain, isText } from "./plain_text.js";
import { challenge, checkAssertion, isSamePasskey } from "./passkeys.js";
import { verifyP256 } from "./p256.js";

/** @typedef {import("./documents.js").Agency} Agency */
/** @typedef {import("./documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./documents.js").SignedCertificate} SignedCertificate */
/** @typedef {import("./documents.js").SignedRequest} SignedRequest */
/** @typedef {import("./documents.js").Withdrawal} Withdrawal */

export const REQUEST_TAG = "doorward/request/v1";
export const COSIGN_TAG = "doorward/request-cosign/v1";
export const WITHDRAW_TAG = "doorward/request-withdrawal/v1";
const OFFICER_TAG = "doorward/officer/v1";
const ASKING_ROLES = ["officer", "approver"];
const AGENCY_ID = /^[a-z0-9](-?[a-z0-9]){1,39}$/;
const CELL = /^89[0-9a-f]{13}$/;
const CASE_NUMBER = /^[A-Z0-9/-]{1,24}$/;
const INCIDENT_TYPES = ["burglary", "theft", "robbery", "assault", "vehicle", "damage", "missing_person", "traffic"];
const MAX_CELLS = 12;
const MAX_RETENTION_DAYS = 3650;

const isId = isLike(ID_PATTERN);
const isTime = isWithin(0, LAST_MS);
/** What each field may hold. @type {Record<string, (value: any) => boolean>} */
const FIELDS = {
  v: isOneOf([1]),
  domain: isOneOf([REQUEST_TAG]),
  id: isId,
  agency: isLike(AGENCY_ID),
  officer_id: isId,
  officer_name: isLine,
  cosigner_id: isId,
  cosigner_name: isLine,
  contact: isLine,
  case_number: isLike(CASE_NUMBER),
  incident_type: isOneOf(INCIDENT_TYPES),
  text: (text) => text !== "" && isText(text, 2000),
  cells: (cells) => Array.isArray(cells) && cells.length > 0 && cells.length <= MAX_CELLS && cells.every(isLike(CELL)),
  from_ms: isTime,
  to_ms: isTime,
  retention_days: isWithin(1, MAX_RETENTION_DAYS),
  onward_sharing: isOneOf(["none", "prosecutor"]),
  created_ms: isTime,
  expires_ms: isTime,
  reason: (text) => isText(text, 500),
  danger: (text) => isText(text, 500),
  renews: (id) => id === undefined || isId(id),
};

/** @param {RegExp} pattern */
function isLike(pattern) {
  return (/** @type {unknown} */ value) => typeof value === "string" && pattern.test(value);
}

/** @param {number} least @param {number} most */
function isWithin(least, most) {
  return (/** @type {unknown} */ value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
}

/** @param {unknown[]} known */
function isOneOf(known) {
  return (/** @type {unknown} */ value) => known.includes(value);
}

/** Returns a request of which only the form is checked. @param {{request: string}} signed @returns {EvidenceRequest} */
export function parseRequestUnverified(signed) {
  const request = /** @type {EvidenceRequest} */ (parseCanonical(signed.request));
  if (request.domain !== REQUEST_TAG || request.v !== 1) throw new WireError("not a request");
  const { officer_name, cosigner_name, contact, text, reason, danger } = request;
  must([officer_name, cosigner_name, contact].every(isLine), "a name in the request isn't one line of plain text");
  must([text, reason, danger].every((said) => typeof said !== "string" || isPlain(said)), "the request holds characters that turn its text unseen");
  for (const field of new Set([...Object.keys(FIELDS), ...Object.keys(request)])) {
    const value = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (request))[field];
    if (!Object.hasOwn(FIELDS, field) || !FIELDS[field](value)) throw new WireError("the request's {field} isn't as it must be", { field });
  }
  return request;
}

/** @param {{request: string}} signed */
export function requestDigest(signed) {
  return sha256Hex(utf8(signed.request));
}

/**
 * Returns the request if two officers signed it whom the agency certified.
 * @param {SignedRequest} signed
 * @param {Pick<Agency, "id" | "signing_key">} agency
 * @returns {Promise<EvidenceRequest>}
 */
export async function checkRequest(signed, agency) {
  const request = parseRequestUnverified(signed);
  if (request.agency !== agency.id) throw new WireError("the request names another agency");
  const drafter = await checkCertificate(signed.officer, agency.signing_key);
  const cosigner = await checkCertificate(signed.cosigner, agency.signing_key);
  await checkOfficers(signed, request, drafter, cosigner);
  return request;
}

/**
 * Checks what `checkRequest` does, with certificates that were checked.
 * @param {SignedRequest} signed @param {EvidenceRequest} request
 * @param {OfficerCertificate} drafter @param {OfficerCertificate} cosigner
 */
export async function checkOfficers(signed, request, drafter, cosigner) {
  checkNamed(drafter, request.agency, request.officer_id, request.officer_name);
  checkNamed(cosigner, request.agency, request.cosigner_id, request.cosigner_name);
  must(mayAsk(drafter) && mayAsk(cosigner), "only an officer or an approver signs requests");
  must(drafter.officer_id !== cosigner.officer_id, "an officer can't co-sign their own request");
  must(!(await isSamePasskey(drafter.passkey, cosigner.passkey)), "both signatures are by one passkey");
  must(
    request.danger === "" || cosigner.role === "approver",
    "an emergency is co-signed by an officer with the approver's role",
  );
  const drafted = await challenge(REQUEST_TAG, signed.request);
  await checkAssertion(signed.assertion, drafter.passkey, drafted);
  const cosigned = await challenge(COSIGN_TAG, signed.request);
  await checkAssertion(signed.cosignature, cosigner.passkey, cosigned);
}

/** Tells whether whoever is certified may sign requests and withdrawals. @param {{role: string}} certificate */
export function mayAsk({ role }) {
  return ASKING_ROLES.includes(role);
}

/**
 * Returns the canonical text of a withdrawal.
 * @param {{request_digest: string, agency: string, officer_id: string}} what
 */
export function withdrawalText(what) {
  /** @type {Withdrawal} */
  const withdrawal = { v: 1, domain: WITHDRAW_TAG, ...what };
  return canonical(withdrawal);
}

/** Returns an officer's certificate if the agency's key signed it. @param {SignedCertificate} signed @param {string} signingKey @returns {Promise<OfficerCertificate>} */
export async function checkCertificate(signed, signingKey) {
  const message = join(utf8(OFFICER_TAG), new Uint8Array(1), utf8(signed.certificate));
  const holds = await verifyP256(unb64u(signingKey), unb64u(signed.signature), message);
  must(holds, "the agency didn't certify this officer");
  const certificate = /** @type {OfficerCertificate} */ (parseCanonical(signed.certificate));
  must(certificate.domain === OFFICER_TAG && certificate.v === 1, "not an officer's certificate");
  return certificate;
}

/** @param {OfficerCertificate} certificate @param {string} agency @param {string} officerId @param {string} name */
function checkNamed(certificate, agency, officerId, name) {
  const isTheirs = certificate.agency === agency && certificate.officer_id === officerId;
  must(isTheirs, "an officer's certificate is for somebody else");
  must(certificate.name === name, "the officer's certificate names somebody else");
}

/** @param {boolean} condition @param {string} otherwise */
function must(condition, otherwise) {
  if (!condition) throw new WireError(otherwise);
}
