/**
 * Evidence requests and officers' certificates, as in firmware/protocol/requests.py.
 * @module
 */
import { WireError, join, parseCanonical, sha256Hex, unb64u, utf8 } from "./encoding.js";
import { challenge, checkAssertion, verifyP256 } from "./passkeys.js";

/** @typedef {import("./documents.js").Agency} Agency */
/** @typedef {import("./documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./documents.js").OfficerCertificate} OfficerCertificate */
/** @typedef {import("./documents.js").SignedRequest} SignedRequest */

export const REQUEST_TAG = "doorward/request/v1";
const OFFICER_TAG = "doorward/officer/v1";

/** @param {SignedRequest} signed @returns {EvidenceRequest} */
export function parseRequestUnverified(signed) {
  const request = /** @type {EvidenceRequest} */ (parseCanonical(signed.request));
  if (request.domain !== REQUEST_TAG || request.v !== 1) throw new WireError("not a request");
  return request;
}

/** @param {SignedRequest} signed */
export function requestDigest(signed) {
  return sha256Hex(utf8(signed.request));
}

/**
 * Returns the request if the agency certified the officer and the officer's passkey signed it.
 * @param {SignedRequest} signed
 * @param {Agency} agency
 * @returns {Promise<EvidenceRequest>}
 */
export async function checkRequest(signed, agency) {
  const request = parseRequestUnverified(signed);
  const certificate = await checkCertificate(signed, agency);
  if (request.agency !== agency.id || certificate.agency !== agency.id) {
    throw new WireError("the request names another agency");
  }
  if (certificate.officer_id !== request.officer_id) {
    throw new WireError("the officer's certificate is for somebody else");
  }
  const expected = await challenge(REQUEST_TAG, signed.request);
  await checkAssertion(signed.assertion, certificate.passkey, expected);
  return request;
}

/** @param {SignedRequest} signed @param {Agency} agency @returns {Promise<OfficerCertificate>} */
async function checkCertificate(signed, agency) {
  const { certificate, signature } = signed.officer;
  const message = join(utf8(OFFICER_TAG), new Uint8Array(1), utf8(certificate));
  if (!(await verifyP256(unb64u(agency.signing_key), unb64u(signature), message))) {
    throw new WireError("the agency didn't certify this officer");
  }
  return parseCanonical(certificate);
}
