/**
 * Checks of log proofs, as in relay/verify/log_checks.py. Inclusion is arithmetic; whose
 * checkpoint it is, and who saw it, needs a policy.
 * @module
 */
import { canonical, hex, parseCanonical, sha256Hex, unb64u, unhex, utf8, join } from "../../static/js/protocol/encoding.js";
import { LONGEST_PRE_ROLL_90K } from "../../static/js/protocol/footage.js";
import { verifyP256 } from "../../static/js/protocol/passkeys.js";
import { isLine } from "../../static/js/protocol/plain_text.js";
import { NotCheckable } from "./checks.js";
import { checkSignatures } from "./document_checks.js";
import {
  clipNumbers,
  documentOf,
  grantDigest,
  manifestDigest,
  manifestUnverified,
  must,
  packageIdUnverified,
  requestUnverified,
  signedRequest,
  statementUnverified,
  termsUnverified,
} from "./document_reader.js";
import { checkInclusion, checkWitnessed, inclusionRoot, leafHash, parseProof, parseWitnessed } from "./tlog.js";

/** @typedef {import("./document_reader.js").Files} Files */
/** @typedef {import("./document_reader.js").KnownAgency} KnownAgency */
/** @typedef {import("./tlog.js").Policy} Policy */
/** @typedef {{entry: string, proof: string}} ProvenEntry */

const AGREEMENT_TAG = utf8("doorward/agreement/v1\0");
const CLIP_TAG = utf8("doorward/clip-in-slot/v1\0");
const EXAMPLE_PREFIX = "example.";
const TICKS_PER_MS = 90;
const SKEW_MS = 2 * 60_000;
const LATEST_MS = 60 * 60_000;
const EXTRACT = ["agreement", "officer", "cosigner", "request"];

/** The release of this grant's package was committed to in the custody log. @param {Files} files @param {Policy | null} policy */
export async function checkRelease(files, policy) {
  const { record, salt_g, salt_d, proof } = packed(files, "release.json", policy);
  const { device } = statementUnverified(files);
  const { request_digest, recipient } = termsUnverified(files);
  const isThis = record.domain === "doorward/release/v2" && record.v === 2 && record.device === device;
  const grant = await openingDigest("grant", { grant_digest: await grantDigest(files), salt: salt_g });
  must(isThis && record.grant === grant, "another release was committed to");
  const package_id = packageIdUnverified(files);
  const delivery = await openingDigest("delivery", { package_id, request_digest, agency: recipient.agency, salt: salt_d });
  must(record.delivery === delivery, "the release of another package was committed to");
  const commitment = await sha256Hex(utf8(canonical(record)));
  const { origin } = await checkInclusion(proof, custodyEntry({ type: "release", commitment }));
  mustBeCustody(files, origin);
  return origin;
}

/** The recording was committed to after it was made. @param {Files} files @param {number} number @param {Policy | null} policy */
export async function checkCapture(files, number, policy) {
  const { clip_salt, record, index, size, hashes, proof } = packed(files, `capture-${number}.json`, policy);
  const { device } = statementUnverified(files);
  must(record.domain === "doorward/slot/v1" && record.device === device, "another doorbell committed to it");
  const digest = unhex(await manifestDigest(files, number));
  const commitment = await sha256Hex(join(CLIP_TAG, unb64u(clip_salt), digest));
  must(record.clips.includes(commitment), "another recording was committed to");
  const leaf = await leafHash(unhex(await sha256Hex(utf8(canonical(record)))));
  const root = hex(await inclusionRoot({ index, size, leaf, hashes: hashes.map(unb64u) }));
  mustBeCustody(files, (await checkInclusion(proof, custodyEntry({ type: "slot", slot: record.slot, root }))).origin);
}

/** It is the custody log beside the register that came along, if one did. @param {Files} files @param {string} origin */
function mustBeCustody(files, origin) {
  const town = origin.replace(/\/custody$/, "");
  const register = files.has("register.json") ? documentOf(files, "register.json").request.proof : null;
  const isBeside = register === null || parseProof(register).checkpoint.origin === `${town}/register`;
  must(origin !== town && isBeside, "it was committed to in another log than the town's custody log");
}

/**
 * Its date lies between two moments that witnesses saw: relay/verify/date_checks.py.
 * @param {Files} files @param {number} number @param {Policy | null} policy
 * @returns {Promise<import("../../static/js/protocol/encoding.js").Said>}
 */
export async function checkDate(files, number, policy) {
  const name = `capture-${number}.json`;
  if (policy === null) throw new NotCheckable("no policy is at hand: whose times to believe isn't known");
  if (!files.has(name)) throw new NotCheckable("without {name} nothing says by when it was there", { name });
  const manifest = manifestUnverified(files, number);
  const by = await checkWitnessed(policy, parseProof(documentOf(files, name).proof));
  const { witnessed } = manifest;
  const since = witnessed === undefined ? null : await checkWitnessed(policy, parseWitnessed(witnessed));
  must(since === null || since <= by + SKEW_MS, "its description names a checkpoint that is younger than its commitment");
  const begin = beginOf(files, number, manifest);
  if (begin !== null) checkOrder(manifest, begin, { since, by });
  if (since === null) return { template: "there by {by}; since when isn't proven", values: { by: moment(by) } };
  return { template: "made between {since} and {by}", values: { since: moment(since), by: moment(by) } };
}

/** When it is said to have begun, null if that isn't known. @param {Files} files @param {number} number @param {any} manifest */
function beginOf(files, number, { is_clock_trusted, started_ms }) {
  if (is_clock_trusted) return started_ms;
  const { corrected_ms } = documentOf(files, `part-${number}.json`);
  return corrected_ms ? started_ms + corrected_ms : null;
}

/** @param {any} manifest @param {number} begin @param {{since: number | null, by: number}} seen */
function checkOrder({ is_clock_trusted, pre_roll_90k, duration_90k }, begin, { since, by }) {
  const begun = begin + Math.floor(Math.min(pre_roll_90k, LONGEST_PRE_ROLL_90K) / TICKS_PER_MS);
  const ended = begin + Math.floor(duration_90k / TICKS_PER_MS);
  must(since === null || begun + SKEW_MS >= since, "it is back-dated: its description names a checkpoint that is younger");
  const isInTime = ended <= by + SKEW_MS;
  if (!isInTime && !is_clock_trusted) {
    const values = { by: moment(by), ended: moment(ended) };
    throw new NotCheckable("it was there by {by}, but the doorbell, whose clock wasn't set, put its end at {ended}: it knew only that it wasn't later, or the date is false", values);
  }
  must(isInTime, "its date is wrong: witnesses had seen its commitment before");
  if (by - ended > LATEST_MS) throw new NotCheckable("it was committed to only by {by}: its date isn't proven", { by: moment(by) });
}

/** @param {number} wall_ms */
function moment(wall_ms) {
  return `${new Date(wall_ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** What a record's part is the digest of: firmware/protocol/releases.py. @param {"grant" | "delivery"} part @param {Record<string, string>} opened */
function openingDigest(part, opened) {
  return sha256Hex(utf8(canonical({ v: 2, domain: `doorward/release-${part}/v2`, ...opened })));
}

/** @param {Record<string, unknown>} body */
function custodyEntry(body) {
  return utf8(canonical({ v: 1, body }));
}

/** The request, both officers and the agreement stand in the register. @param {Files} files @param {Policy | null} policy */
export async function checkRegister(files, policy) {
  const extract = packed(files, "register.json", policy);
  const found = await Promise.all(EXTRACT.map((name) => checkInclusion(extract[name].proof, utf8(extract[name].entry))));
  const signed = signedRequest(files);
  const request = requestUnverified(files);
  mustStand(extract.request, "request", signed, "another request stands in the register");
  mustStand(extract.officer, "officer", signed.officer, "an officer's certificate isn't the one in the register");
  mustStand(extract.cosigner, "officer", signed.cosigner, "an officer's certificate isn't the one in the register");
  const agreement = await agreementOf(extract);
  must(agreement.agency === request.agency, "the agreement is of another agency");
  const isOneLog = found.every((checkpoint) => checkpoint.origin === agreement.origin);
  must(isOneLog, "an entry is of another log than the register of the agreement");
  await checkSignatures(files, agreement.signing_key);
  const isInForce = agreement.begins_ms <= request.created_ms && request.created_ms < agreement.ends_ms;
  must(isInForce, "the agency had no agreement when it asked");
  checkArea(request.cells, agreement);
  return agreement.name;
}

/** @param {string[]} cells @param {any} agreement */
function checkArea(cells, { cells: own, merged }) {
  must(cells.every((cell) => own.includes(cell)), "a place isn't inside the agency's jurisdiction");
  for (const group of merged ?? []) {
    const asked = group.filter((/** @type {string} */ cell) => cells.includes(cell));
    must(asked.length === 0 || asked.length === group.length, "cells with few addresses are asked for together");
  }
}

/** @param {ProvenEntry} proven @param {string} type @param {unknown} signed @param {string} otherwise */
function mustStand({ entry }, type, signed, otherwise) {
  const { body } = parseCanonical(entry);
  must(body.type === type && canonical(body.signed) === canonical(signed), otherwise);
}

/** @param {Record<string, ProvenEntry>} extract */
async function agreementOf({ agreement: { entry } }) {
  const { body } = parseCanonical(entry);
  must(body.type === "change", "the register's entry isn't an agreement");
  const change = parseCanonical(body.change);
  must(change.body.kind === "agreement", "the register's entry isn't an agreement");
  return checkAgreement(change.body.signed);
}

/** Returns the agreement if the key in it signed it. @param {{agreement: string, signature: string}} signed */
export async function checkAgreement(signed) {
  const agreement = parseCanonical(signed.agreement);
  must(agreement.domain === "doorward/agreement/v1" && agreement.v === 1, "not an agreement");
  must(isLine(agreement.name), "the agency's name isn't one line of plain text");
  const message = join(AGREEMENT_TAG, utf8(signed.agreement));
  const holds = await verifyP256(unb64u(agreement.signing_key), unb64u(signed.signature), message);
  must(holds, "the agency didn't sign this agreement");
  return agreement;
}

/** Each checkpoint is its log's, and enough witnesses cosigned it. @param {Files} files @param {Policy | null} policy */
export async function checkWitnesses(files, policy) {
  if (policy === null) throw new NotCheckable("no policy is at hand: who signed the logs isn't known");
  const notes = [...proofsOf(files).map(parseProof), ...checkpointsBefore(files)];
  must(notes.length > 0, "the package holds no proof from a log");
  const times = await Promise.all(notes.map((note) => checkWitnessed(policy, note)));
  return { template: "{time}: the newest of {count} checkpoints", values: { count: notes.length, time: moment(Math.max(...times)) } };
}

/** The agency as the register proves it, null unless every proof of it holds. @param {Files} files @param {Policy | null} policy @returns {Promise<KnownAgency | null>} */
export async function registeredAgency(files, policy) {
  if (policy === null || !files.has("register.json")) return null;
  try {
    await checkRegister(files, policy);
    await checkWitnesses(files, policy);
    const { agency, signing_key } = await agreementOf(documentOf(files, "register.json"));
    return { id: agency, signing_key };
  } catch {
    return null;
  }
}

/** The log of an invented town that the evidence belongs to, null if it is real. @param {Files} files */
export function exampleOrigin(files) {
  try {
    const origins = proofsOf(files).map((proof) => parseProof(proof).checkpoint.origin);
    return origins.find((origin) => origin.startsWith(EXAMPLE_PREFIX)) ?? null;
  } catch {
    return null;
  }
}

/** The checkpoints that descriptions name. @param {Files} files */
function checkpointsBefore(files) {
  const named = clipNumbers(files).map((number) => manifestUnverified(files, number).witnessed);
  return named.filter((note) => note !== undefined).map(parseWitnessed);
}

/** @param {Files} files @returns {string[]} */
function proofsOf(files) {
  const names = ["release.json", ...clipNumbers(files).map((number) => `capture-${number}.json`)];
  const proofs = names.filter((name) => files.has(name)).map((name) => documentOf(files, name).proof);
  if (!files.has("register.json")) return proofs;
  const extract = documentOf(files, "register.json");
  return [...proofs, ...EXTRACT.map((name) => extract[name].proof)];
}

/** @param {Files} files @param {string} name @param {Policy | null} policy */
function packed(files, name, policy) {
  if (files.has(name)) return documentOf(files, name);
  must(policy === null, "there is no {name}", { name });
  throw new NotCheckable("the doorbell packed no proof of it ({name})", { name });
}
