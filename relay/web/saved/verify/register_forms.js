/**
 * The forms of the register's entries, as firmware/protocol/register/entries.py has them: what is
 * written otherwise is void for everybody, whoever signed it.
 * @module
 */
import { ID_PATTERN, LAST_MS, parseCanonical, utf8 } from "../../static/js/protocol/encoding.js";
import { isLine } from "../../static/js/protocol/plain_text.js";
import { must } from "./document_reader.js";

/** @typedef {(value: any) => boolean} Test */
/** @typedef {Record<string, Test>} Form */

const SIGN = "[A-Za-z0-9_-]";
const [LAST_OF_TWO, LAST_OF_THREE] = ["[AQgw]", "[AEIMQUYcgkosw048]"];
const B64U = new RegExp(`^(?:${SIGN}{4})*(?:${SIGN}${LAST_OF_TWO}|${SIGN}{2}${LAST_OF_THREE})?$`);
const P256 = `MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE${SIGN}{85}${LAST_OF_TWO}`;
const X25519 = new RegExp(`^(?!(?:7[fv_]|[89_-][Pfv_])_{39}38)${SIGN}{41}[A-HQ-Xg-nw-z0-3]${LAST_OF_THREE}$`);
const VOTE =
  /^(?:none|https:\/\/[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?)$/;
const MAX_LEAF_BYTES = 65_535;
const MAX_DOCUMENT_BYTES = 64 * 1024;
const MAX_TERMS_BYTES = 8 * 1024;
const MAX_AREA_BYTES = 60 * 1024;
const MAX_CHANGES = 1_000_000;
const HOUR_MS = 3_600_000;

const isId = like(ID_PATTERN);
const isDigest = like(/^[0-9a-f]{64}$/);
const isAgency = like(/^[a-z0-9](-?[a-z0-9]){1,39}$/);
const isCell = like(/^89[0-9a-f]{13}$/);
const isP256 = like(new RegExp(`^${P256}$`));
const isShortB64u = like(B64U, 4096);
const isSpan = within(0, Number.MAX_SAFE_INTEGER);
const isTime = within(0, LAST_MS);
const isCount = within(0, MAX_CHANGES);
const isVote = like(VOTE, 300);

/** @type {Form} */
const ADMIN = { id: isAgency, name: isLine, key: isP256 };
/** @type {Form} */
const DELAYS = {
  key_age_ms: isSpan,
  agreement_age_ms: isSpan,
  freshness_ms: isSpan,
  slot_ms: within(500, HOUR_MS),
  batch_ms: within(0, HOUR_MS),
};
/** @type {Form} */
const LIMITS = {
  min_window_ms: isSpan,
  max_window_ms: isSpan,
  long_window_ms: isSpan,
  max_age_ms: isSpan,
  max_life_ms: isSpan,
  max_cells: within(1, 12),
  max_per_case: within(1, 100),
  max_open_per_officer: within(1, 100),
  area_quiet_ms: isSpan,
};
const isAdmins = listOf(of(ADMIN), 2, 20);
/** In the body of a change: the area stands beside it. @type {Form} */
const SIGNED_AGREEMENT = { agreement: upTo(MAX_TERMS_BYTES), signature: isShortB64u, area: orNone(upTo(MAX_AREA_BYTES)) };
/** @type {Record<string, Form>} */
const BODIES = {
  charter: {
    is_example: (value) => typeof value === "boolean",
    admins: isAdmins,
    delays: of(DELAYS),
    limits: of(LIMITS),
    succeeds: orNone(of({ origin: isLine, size: within(1, Number.MAX_SAFE_INTEGER), root: isDigest, by: isAdmins })),
  },
  admins: { admins: isAdmins },
  limits: { limits: of(LIMITS) },
  agreement: { signed: of(SIGNED_AGREEMENT) },
  suspended: { agency: isAgency },
  officer_revoked: { agency: isAgency, officer_id: isId },
  program: { program: oneOf("owner-app", "firmware"), version: isLine, sha256: isDigest },
};
const KINDS = Object.keys(BODIES);
/** @type {Form} */
const HEADER = {
  v: oneOf(2),
  domain: oneOf("doorward/register-change/v2"),
  origin: isLine,
  nonce: isId,
  kind: oneOf(...KINDS),
  agency: orNone(isAgency),
  follows: orNone(isCount),
  body_sha256: isDigest,
};
/** @type {Form} */
const TERMS = {
  v: oneOf(2),
  domain: oneOf("doorward/agreement/v2"),
  origin: isLine,
  agency: isAgency,
  name: isLine,
  version: within(1, 10_000),
  text_sha256: isDigest,
  vote: isVote,
  gifts: oneOf("none"),
  promotion: oneOf("none"),
  begins_ms: isTime,
  ends_ms: isTime,
  signing_key: isP256,
  sealing_keys: listOf(like(X25519), 1, 8),
  area_sha256: isDigest,
};
/** @type {Form} */
const AREA = { cells: listOf(isCell, 1, 3000), merged: listOf(listOf(isCell, 0, Infinity), 0, 500) };
/** @type {Form} */
const PASSKEY = {
  credential_id: isShortB64u,
  public_key: like(new RegExp(`^(?:${P256}|MII${SIGN}{389,731})$`)),
  rp_id: isLine,
  origin: isLine,
};
/** @type {Form} */
const CERTIFICATE = {
  v: oneOf(1),
  domain: oneOf("doorward/officer/v1"),
  agency: isAgency,
  officer_id: isId,
  name: isLine,
  role: oneOf("officer", "approver", "records", "admin"),
  passkey: of(PASSKEY),
  not_after_ms: isTime,
};
/** @type {Form} */
const ASSERTION = {
  credential_id: isShortB64u,
  authenticator_data: isShortB64u,
  client_data_json: isShortB64u,
  signature: isShortB64u,
};
/** @type {Form} */
const SIGNED_CERTIFICATE = { certificate: upTo(4096), signature: like(B64U, MAX_DOCUMENT_BYTES) };
/** @type {Form} */
const SIGNED_REQUEST = {
  request: upTo(32 * 1024),
  assertion: of(ASSERTION),
  officer: of(SIGNED_CERTIFICATE),
  cosignature: of(ASSERTION),
  cosigner: of(SIGNED_CERTIFICATE),
};
/** @type {Form} */
const SIGNED_WITHDRAWAL = { withdrawal: upTo(1024), assertion: of(ASSERTION), officer: of(SIGNED_CERTIFICATE) };
/** @type {Form} */
const WITHDRAWAL = {
  v: oneOf(1),
  domain: oneOf("doorward/request-withdrawal/v1"),
  request_digest: isDigest,
  agency: isAgency,
  officer_id: isId,
};
const isSignatures = listOf(of({ by: isAgency, signature: isShortB64u }), 1, 8);
/** @type {Record<string, Form>} */
const ENTRIES = {
  change: {
    change: upTo(MAX_TERMS_BYTES),
    content: upTo(MAX_LEAF_BYTES),
    area: orNone(upTo(MAX_AREA_BYTES)),
    signatures: isSignatures,
  },
  officer: { signed: of(SIGNED_CERTIFICATE) },
  request: { signed: of(SIGNED_REQUEST) },
  withdrawn: { signed: of(SIGNED_WITHDRAWAL) },
  refused: {
    agency: isAgency,
    category: oneOf(
      "assembly", "worship", "immigration", "reproductive_care", "announcement",
      "description_by_race", "identity_of_a_victim", "pressure", "other",
    ),
  },
};
/** @type {Form} */
const LEAF = { v: oneOf(2), widenings: isCount, narrowings: isCount, chain: isDigest, body: tagged("type", ENTRIES) };
const isLink = of({
  index: within(1, 2 ** 31),
  change: upTo(MAX_TERMS_BYTES),
  signatures: isSignatures,
  content: orNone(upTo(MAX_LEAF_BYTES)),
  area: orNone(upTo(MAX_AREA_BYTES)),
});

/** @param {RegExp} pattern @param {number} [most] @returns {Test} */
function like(pattern, most = Infinity) {
  return (value) => typeof value === "string" && value.length <= most && pattern.test(value);
}

/** A text of so many characters, whatever it says. @param {number} most @returns {Test} */
function upTo(most) {
  return (value) => typeof value === "string" && (value.length <= most || [...value].length <= most);
}

/** @param {number} least @param {number} most @returns {Test} */
function within(least, most) {
  return (value) => Number.isSafeInteger(value) && value >= least && value <= most;
}

/** @param {...unknown} known @returns {Test} */
function oneOf(...known) {
  return (value) => known.includes(value);
}

/** @param {Test} test @returns {Test} */
function orNone(test) {
  return (value) => value === undefined || test(value);
}

/** @param {Test} test @param {number} least @param {number} most @returns {Test} */
function listOf(test, least, most) {
  return (value) => Array.isArray(value) && value.length >= least && value.length <= most && value.every(test);
}

/** An object with these fields and no others. @param {Form} form @returns {Test} */
function of(form) {
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const isKnown = Object.keys(value).every((name) => Object.hasOwn(form, name));
    return isKnown && Object.entries(form).every(([name, test]) => test(Object.hasOwn(value, name) ? value[name] : undefined));
  };
}

/** One of several objects, which one field tells apart. @param {string} tag @param {Record<string, Form>} forms @returns {Test} */
function tagged(tag, forms) {
  const tests = new Map(Object.entries(forms).map(([name, form]) => [name, of({ ...form, [tag]: oneOf(name) })]));
  return (value) => tests.get(value?.[tag])?.(value) ?? false;
}

/** Parses a text of at most so many bytes, in canonical form. @param {string} text @param {number} [most] @returns {any} */
function documentIn(text, most = MAX_DOCUMENT_BYTES) {
  must(typeof text === "string" && utf8(text).length <= most, "a text of the register is larger than it may be");
  return parseCanonical(text);
}

const [isLeaf, isHeader, isBody] = [of(LEAF), of(HEADER), of({ body: tagged("kind", BODIES) })];
const [isTerms, isArea, isCertificate, isWithdrawal] = [of(TERMS), of(AREA), of(CERTIFICATE), of(WITHDRAWAL)];

/** @param {string} entry */
export function parseLeaf(entry) {
  const leaf = documentIn(entry, MAX_LEAF_BYTES);
  must(isLeaf(leaf), "not an entry of the register");
  return leaf;
}

/** @param {string} change */
export function parseHeader(change) {
  const header = documentIn(change, MAX_TERMS_BYTES);
  must(isHeader(header), "not a change of the register");
  return header;
}

/** @param {string} content */
export function parseBody(content) {
  const document = documentIn(content, MAX_LEAF_BYTES);
  must(isBody(document), "not the body of a change");
  return document.body;
}

/** @param {string} agreement */
export function parseTerms(agreement) {
  const terms = documentIn(agreement, MAX_TERMS_BYTES);
  must(isLine(terms?.name), "the agency's name isn't one line of plain text");
  must(isVote(terms.vote), "the agreement's vote is neither an https link nor none");
  must(terms.gifts === "none" && terms.promotion === "none", "an agreement with gifts or promotion is none");
  must(isTerms(terms), "not an agreement");
  return terms;
}

/** @param {string} area @returns {{cells: string[], merged: string[][]}} */
export function parseArea(area) {
  const cells = documentIn(area, MAX_AREA_BYTES);
  must(isArea(cells), "not an agreement's cells");
  return cells;
}

/** @param {string} text */
export function parseCertificate(text) {
  const certificate = documentIn(text);
  must(isLine(certificate?.name), "an officer's name isn't one line of plain text");
  must(isCertificate(certificate), "not an officer's certificate");
  return certificate;
}

/** @param {string} text */
export function parseWithdrawal(text) {
  const withdrawal = documentIn(text);
  must(isWithdrawal(withdrawal), "not a withdrawal");
  return withdrawal;
}

/** @param {any} link */
export function checkLink(link) {
  must(isLink(link), "not a change of the register");
}
