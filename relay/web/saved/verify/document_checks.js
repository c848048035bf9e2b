/**
 * Checks of the documents, as in relay/verify/document_checks.py: the files, the doorbell, the
 * request, the grant.
 * @module
 */
import {
  b64u,
  deviceIdOf,
  join,
  parse,
  parseCanonical,
  sha256Hex,
  text,
  unb64u,
  utf8,
} from "../../static/js/protocol/encoding.js";
import { contentFiles } from "../packages.js";
import { challenge, checkAssertion, isSamePasskey } from "../../static/js/protocol/passkeys.js";
import { verifyP256 } from "../../static/js/protocol/p256.js";
import { isLine } from "../../static/js/protocol/plain_text.js";
import { mayAsk } from "../../static/js/protocol/requests.js";
import { checkIssued, parseCertificate } from "./certificate.js";
import { NotCheckable } from "./checks.js";
import {
  clipNumbers,
  digestOf,
  documentOf,
  fileOf,
  grantDigest,
  isPartOfEvidence,
  manifestDigest,
  must,
  requestUnverified,
  signedGrant,
  signedRequest,
  statementUnverified,
  termsUnverified,
} from "./document_reader.js";

/** @typedef {import("./document_reader.js").Evidence} Evidence */
/** @typedef {import("./document_reader.js").Files} Files */
/** @typedef {import("./document_reader.js").KnownAgency} KnownAgency */

const CONTENTS = "contents.json";
const CONTENTS_TAG = utf8("doorward/contents/v1\0");
const OFFICER_TAG = "doorward/officer/v1";
const REQUEST_TAG = "doorward/request/v1";
const COSIGN_TAG = "doorward/request-cosign/v1";
const STATEMENT_TAG = "doorward/statement/v1";

/** @param {Files} files */
export function deviceCertificate(files) {
  return parseCertificate(text(fileOf(files, "device.pem")));
}

/** Every file is, to the last byte, the one that the doorbell packed. @param {Evidence} evidence */
export async function checkFiles({ files, header, beside }) {
  const signed = documentOf(files, CONTENTS);
  const message = join(CONTENTS_TAG, utf8(signed.contents));
  const { spki } = deviceCertificate(files);
  must(await verifyP256(spki, unb64u(signed.signature), message), "the list of files isn't signed by this doorbell");
  const contents = parseCanonical(signed.contents);
  must(contents.domain === "doorward/contents/v1" && contents.v === 1, "not a list of files");
  const { device } = statementUnverified(files);
  const isOfGrant = contents.grant_digest === (await grantDigest(files)) && contents.device === device;
  must(isOfGrant, "the list of files belongs to another grant or doorbell");
  must(header === null || header.package_id === contents.package_id, "the list of files belongs to another package");
  const entries = contentFiles(contents.files);
  const listed = new Map(entries.map(({ name, sha256 }) => [name, sha256]));
  must(listed.size === entries.length, "the list of files names one twice");
  const foreign = [...listed.keys()].filter((name) => !isPartOfEvidence(name));
  const strange = [...new Set([...foreign, ...(header === null ? [] : beside)])];
  must(strange.length === 0, "no part of evidence, and yet packed: {names}", { names: strange.join(", ") });
  const missing = [...listed.keys()].filter((name) => !files.has(name));
  must(missing.length === 0, "taken out: {names}", { names: missing.join(", ") });
  const added = [...files.keys()].filter((name) => name !== CONTENTS && !listed.has(name));
  must(added.length === 0, "added: {names}", { names: added.join(", ") });
  for (const [name, sha256] of listed) {
    must((await digestOf(files, name)) === sha256, "{name} isn't the file that the doorbell packed", { name });
  }
}

/** The certificate's key is the one that the doorbell's id is made of. @param {Files} files */
export async function checkDevice(files) {
  const { device } = statementUnverified(files);
  const found = await deviceIdOf(deviceCertificate(files).spki);
  must(found === device, "the grant was signed for another doorbell");
  return device;
}

/** @param {Files} files @param {string | null} fleetCa PEM */
export async function checkFleet(files, fleetCa) {
  if (fleetCa === null) throw new NotCheckable("the fleet's certificate isn't at hand");
  await checkIssued(deviceCertificate(files), parseCertificate(fleetCa));
}

/** Two officers whom the agency certified signed exactly this request. @param {Files} files @param {KnownAgency | null} agency */
export async function checkRequest(files, agency) {
  if (agency === null) {
    await checkSignatures(files, null);
    throw new NotCheckable("two passkeys signed it; whether the agency certified these officers isn't known");
  }
  must(requestUnverified(files).agency === agency.id, "another agency asked");
  await checkSignatures(files, agency.signing_key);
  const { officer_name, cosigner_name } = requestUnverified(files);
  return `${officer_name}, ${cosigner_name}`;
}

/** @param {Files} files @param {string | null} signingKey the agency's; null: as the certificates say themselves */
export async function checkSignatures(files, signingKey) {
  const signed = signedRequest(files);
  const request = requestUnverified(files);
  const drafter = await checkOfficer(signed.officer, signingKey, request.agency, request.officer_id, request.officer_name);
  const cosigner = await checkOfficer(signed.cosigner, signingKey, request.agency, request.cosigner_id, request.cosigner_name);
  must(mayAsk(drafter) && mayAsk(cosigner), "only an officer or an approver signs requests");
  must(drafter.officer_id !== cosigner.officer_id, "an officer can't co-sign their own request");
  must(!(await isSamePasskey(drafter.passkey, cosigner.passkey)), "both signatures are by one passkey");
  must(!request.danger || cosigner.role === "approver", "an emergency is co-signed by an approver");
  await checkAssertion(signed.assertion, drafter.passkey, await challenge(REQUEST_TAG, signed.request));
  await checkAssertion(signed.cosignature, cosigner.passkey, await challenge(COSIGN_TAG, signed.request));
}

/**
 * @param {{certificate: string, signature: string}} signed @param {string | null} signingKey
 * @param {string} agency @param {string} id @param {string} name
 */
async function checkOfficer(signed, signingKey, agency, id, name) {
  if (signingKey !== null) {
    const message = join(utf8(OFFICER_TAG), new Uint8Array(1), utf8(signed.certificate));
    const holds = await verifyP256(unb64u(signingKey), unb64u(signed.signature), message);
    must(holds, "the agency didn't certify this officer");
  }
  const certificate = parseCanonical(signed.certificate);
  must(certificate.domain === OFFICER_TAG && certificate.v === 1, "not an officer's certificate");
  must(isLine(certificate.name), "an officer's name isn't one line of plain text");
  const isTheirs = certificate.agency === agency && certificate.officer_id === id && certificate.name === name;
  must(isTheirs, "an officer's certificate is for somebody else");
  return certificate;
}

/** The grant is for this request and agency, and a passkey signed exactly it. @param {Evidence} evidence @param {KnownAgency | null} agency */
export async function checkGrant({ files, header }, agency) {
  const terms = termsUnverified(files);
  const signed = signedGrant(files);
  const statement = statementUnverified(files);
  const digest = await grantDigest(files);
  must(header === null || header.grant_digest === digest, "the package was sealed for another grant");
  must(header === null || header.device === statement.device, "the package is of another doorbell");
  const told = parse(text(unb64u(signed.assertion.client_data_json)));
  const expected = b64u(await challenge(STATEMENT_TAG, signed.statement));
  must(told.type === "webauthn.get" && told.challenge === expected, "the owner's passkey signed something else");
  const asked = await sha256Hex(utf8(signedRequest(files).request));
  must(asked === terms.request_digest, "the grant is for another request");
  const { recipient } = terms;
  must(recipient.agency === requestUnverified(files).agency, "the grant is for another agency than the one that asked");
  must(agency === null || recipient.agency === agency.id, "the grant is for another agency");
  const isNamed = header === null || header.keys.every((key) => recipient.sealing_keys.includes(key.recipient));
  must(isNamed, "the package was sealed to a key that the grant doesn't name");
  return digest;
}

/** There are exactly the recordings of the grant, in its order. @param {Files} files */
export async function checkClipsGiven(files) {
  const given = termsUnverified(files).clips.map((/** @type {any} */ clip) => clip.manifest_digest);
  const numbers = clipNumbers(files);
  const found = await Promise.all(numbers.map((number) => manifestDigest(files, number)));
  const isInOrder = numbers.every((number, place) => number === place + 1);
  must(isInOrder && String(found) === String(given), "these aren't exactly the recordings that the owner gave");
}
