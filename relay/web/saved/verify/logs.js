/**
 * Checks of log proofs, as in relay/verify/log_checks.py. Inclusion is arithmetic; whose
 * checkpoint it is, and who saw it, needs a policy.
 * @module
 */
import { canonical, deviceIdOf, hex, parseCanonical, sha256Hex, unb64u, unhex, utf8, join } from "../../static/js/protocol/encoding.js";
import { LONGEST_PRE_ROLL_90K } from "../../static/js/protocol/footage.js";
import { provedExtract, provenEntries } from "./authority.js";
import { NotCheckable, NotShown, moment } from "./checks.js";
import { checkSignatures, deviceCertificate } from "./document_checks.js";
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
import { areaOf, checkAgreement, checkArea } from "./register.js";
import { parseLeaf } from "./register_forms.js";
import { SKEW_MS, checkInclusion, checkWitnessed, inclusionRoot, leafHash, parseProof, parseWitnessed } from "./tlog.js";

/** @typedef {import("./document_reader.js").Files} Files */
/** @typedef {import("./document_reader.js").KnownAgency} KnownAgency */
/** @typedef {import("./tlog.js").Policy} Policy */

const CLIP_TAG = utf8("doorward/clip-in-slot/v1\0");
const EXAMPLE_PREFIX = "example.";
const TICKS_PER_MS = 90;
const LATEST_MS = 60 * 60_000;
const IDENTITY = "identity.json";
const IDENTITY_AGE_MS = 24 * 3_600_000;
const MAX_IDENTITY_AGE_MS = 30 * IDENTITY_AGE_MS;
const SLOT_DEPTH = 20;

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
  const { clip_salt, record, index, hashes, proof } = packed(files, `capture-${number}.json`, policy);
  const { device } = statementUnverified(files);
  must(record.domain === "doorward/slot/v1" && record.device === device, "another doorbell committed to it");
  const digest = unhex(await manifestDigest(files, number));
  const commitment = await sha256Hex(join(CLIP_TAG, unb64u(clip_salt), digest));
  must(record.clips.includes(commitment), "another recording was committed to");
  await checkSlot(files, { record, index, hashes, proof });
}

/**
 * The doorbell was there from a day to a month before: relay/verify/identity_checks.py.
 * @param {Files} files @param {number} number @param {Policy | null} policy
 * @returns {Promise<import("../../static/js/protocol/encoding.js").Said>}
 */
export async function checkIdentity(files, number, policy) {
  if (!files.has(IDENTITY)) throw new NotShown("the doorbell packed no slot of an earlier day, as a new one can't");
  const { record, index, hashes, proof } = documentOf(files, IDENTITY);
  const device = await deviceIdOf(deviceCertificate(files).spki);
  must(record.domain === "doorward/slot/v1" && record.device === device, "the earlier slot is another doorbell's");
  await checkSlot(files, { record, index, hashes, proof });
  if (policy === null) throw new NotCheckable("no policy is at hand: whose times to believe isn't known");
  const { aged_ms: by } = await checkWitnessed(policy, parseProof(proof));
  const begin = beginOf(files, number, manifestUnverified(files, number));
  if (begin === null) throw new NotShown("the doorbell's clock wasn't set: how much older it is can't be said");
  const isShown = begin - by >= IDENTITY_AGE_MS && begin - by <= MAX_IDENTITY_AGE_MS;
  if (!isShown) throw new NotShown("its slot was in the log by {by}, which isn't a day to a month before the recording", { by: moment(by) });
  return { template: "its key was in the log by {by}", values: { by: moment(by) } };
}

/** @param {Files} files @param {{record: any, index: number, hashes: string[], proof: string}} path from a slot's record to the log */
async function checkSlot(files, { record, index, hashes, proof }) {
  must(hashes.length === SLOT_DEPTH, "a slot's path has another depth");
  const leaf = await leafHash(unhex(await sha256Hex(utf8(canonical(record)))));
  const root = hex(await inclusionRoot({ index, size: 2 ** SLOT_DEPTH, leaf, hashes: hashes.map(unb64u) }));
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
  const { aged_ms: by } = await checkWitnessed(policy, parseProof(documentOf(files, name).proof));
  const { witnessed } = manifest;
  const since = witnessed === undefined ? null : (await checkWitnessed(policy, parseWitnessed(witnessed))).aged_ms;
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
  packed(files, "register.json", policy);
  const proved = await provedExtract(files);
  const signed = signedRequest(files);
  const request = requestUnverified(files);
  mustStand(proved.request.entry, "request", signed, "another request stands in the register");
  mustStand(proved.officer.entry, "officer", signed.officer, "an officer's certificate isn't the one in the register");
  mustStand(proved.cosigner.entry, "officer", signed.cosigner, "an officer's certificate isn't the one in the register");
  const { agreement, area } = await agreementOf(proved.agreement.entry);
  must(agreement.agency === request.agency, "the agreement is of another agency");
  must(proved.checkpoint.origin === agreement.origin, "an entry is of another log than the register of the agreement");
  await checkSignatures(files, agreement.signing_key);
  const isInForce = agreement.begins_ms <= request.created_ms && request.created_ms < agreement.ends_ms;
  must(isInForce, "the agency had no agreement when it asked");
  checkArea(request.cells, area);
  return agreement.name;
}

/** @param {string} entry @param {string} type @param {unknown} signed @param {string} otherwise */
function mustStand(entry, type, signed, otherwise) {
  const { body } = parseLeaf(entry);
  must(body.type === type && canonical(body.signed) === canonical(signed), otherwise);
}

/** @param {string} entry */
async function agreementOf(entry) {
  const { body: leaf } = parseLeaf(entry);
  must(leaf.type === "change" && typeof leaf.area === "string", "the register's entry isn't an agreement");
  const { body } = parseCanonical(leaf.content);
  must(body.kind === "agreement", "the register's entry isn't an agreement");
  const agreement = await checkAgreement(body.signed);
  return { agreement, area: await areaOf(agreement, leaf.area) };
}

/** Each checkpoint is its log's, and enough witnesses cosigned it. @param {Files} files @param {Policy | null} policy */
export async function checkWitnesses(files, policy) {
  if (policy === null) throw new NotCheckable("no policy is at hand: who signed the logs isn't known");
  const notes = [...proofsOf(files).map(parseProof), ...earlierOf(files), ...checkpointsBefore(files)];
  must(notes.length > 0, "the package holds no proof from a log");
  const found = await Promise.all(notes.map((note) => checkWitnessed(policy, note)));
  const times = found.map(({ aged_ms }) => aged_ms);
  return { template: "{time}: the newest of {count} checkpoints", values: { count: notes.length, time: moment(Math.max(...times)) } };
}

/** The agency as the register proves it, null unless every proof of it holds. @param {Files} files @param {Policy | null} policy @param {() => Promise<import("./authority.js").Authority>} authority @returns {Promise<KnownAgency | null>} */
export async function registeredAgency(files, policy, authority) {
  if (policy === null || !files.has("register.json")) return null;
  try {
    await checkRegister(files, policy);
    await checkWitnesses(files, policy);
    const { agency, signing_key } = (await authority()).agreement.agreement;
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
  const names = ["release.json", IDENTITY, ...clipNumbers(files).map((number) => `capture-${number}.json`)];
  const proofs = names.filter((name) => files.has(name)).map((name) => documentOf(files, name).proof);
  if (!files.has("register.json")) return proofs;
  return [...proofs, ...provenEntries(documentOf(files, "register.json")).map(({ proof }) => proof)];
}

/** The earlier checkpoints of the register. @param {Files} files */
function earlierOf(files) {
  if (!files.has("register.json")) return [];
  return documentOf(files, "register.json").ages.map((/** @type {{note: string}} */ { note }) => parseWitnessed(note));
}

/** @param {Files} files @param {string} name @param {Policy | null} policy */
function packed(files, name, policy) {
  if (files.has(name)) return documentOf(files, name);
  must(policy === null, "there is no {name}", { name });
  throw new NotCheckable("the doorbell packed no proof of it ({name})", { name });
}
