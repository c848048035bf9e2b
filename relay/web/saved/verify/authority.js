/**
 * Checks of who let the agency ask, as in relay/verify/authority_checks.py: the register's changes
 * are replayed from the charter, and what the replay calls void is trusted by nobody.
 * @module
 */
import { WireError, canonical, hex, unb64u, utf8 } from "../../static/js/protocol/encoding.js";
import { requestDigest } from "../../static/js/protocol/requests.js";
import { NotCheckable, moment } from "./checks.js";
import { documentOf, must, requestUnverified, signedRequest } from "./document_reader.js";
import { Register, checkLimits } from "./register.js";
import { REGISTER_FILE } from "./register_file.js";
import { checkLink, parseLeaf } from "./register_forms.js";
import { SKEW_MS, checkConsistency, checkInclusion, checkWitnessed, parseProof, parseWitnessed } from "./tlog.js";

/** @typedef {import("./document_reader.js").Files} Files */
/** @typedef {import("./register.js").AgreementRecord} AgreementRecord */
/** @typedef {import("./register.js").LoggedEntry} LoggedEntry */
/** @typedef {import("./tlog.js").Checkpoint} Checkpoint */
/** @typedef {import("./tlog.js").Policy} Policy */
/** @typedef {{entry: string, proof: string}} ProvenEntry */
/** @typedef {{extract: any, checkpoint: Checkpoint, last: LoggedEntry, agreement: LoggedEntry, officer: LoggedEntry, cosigner: LoggedEntry, request: LoggedEntry, renewed: LoggedEntry[]}} ProvedExtract */
/** @typedef {import("./register_file.js").WholeRegister} WholeRegister */
/** @typedef {{register: Register, agreement: AgreementRecord, proved: ProvedExtract}} Authority */
/** @typedef {import("../../static/js/protocol/encoding.js").Said} Said */

const NAMED = ["agreement", "officer", "cosigner", "request"];
const HOUR_MS = 3_600_000;
const MAX_RENEWED = 3;
const MAX_AGES = 3;

/** Every entry of the extract that is proved. @param {any} extract @returns {ProvenEntry[]} */
export function provenEntries(extract) {
  return [...NAMED.map((name) => extract[name]), ...extract.renewed, extract.last];
}

/** The extract, if each entry is under one and the same checkpoint. @param {Files} files @returns {Promise<ProvedExtract>} */
export async function provedExtract(files) {
  const extract = documentOf(files, "register.json");
  must(extract.v === 2, "not a part of a register");
  must(extract.renewed.length <= MAX_RENEWED && extract.ages.length <= MAX_AGES, "not a part of a register");
  const { checkpoint } = parseProof(extract.last.proof);
  /** @param {ProvenEntry} proven @returns {Promise<LoggedEntry>} */
  const proved = async ({ entry, proof }) => {
    const found = await checkInclusion(proof, utf8(entry));
    const isSame = found.origin === checkpoint.origin && found.size === checkpoint.size && hex(found.root) === hex(checkpoint.root);
    must(isSame, "the entries of the register are proved by different checkpoints");
    return { index: parseProof(proof).index, entry };
  };
  const last = await proved(extract.last);
  must(last.index === checkpoint.size - 1, "the last entry of the register isn't the one that is shown as the last");
  const [agreement, officer, cosigner, request] = await Promise.all(NAMED.map((name) => proved(extract[name])));
  const renewed = await Promise.all(extract.renewed.map(proved));
  return { extract, checkpoint, last, agreement, officer, cosigner, request, renewed };
}

/** The register's administrators let this agency and these officers ask. @param {() => Promise<Authority>} authority @param {WholeRegister | null} whole @returns {Promise<Said>} */
export async function checkAuthority(authority, whole) {
  const { register } = await authority();
  const count = register.widenings + register.narrowings - 1;
  const names = [...register.admins.keys()].sort().join(", ");
  const values = { count, names };
  if (whole !== null) return { template: "by the whole register; changes since the charter: {count}; administrators now: {names}", values };
  return { template: "by the chain of changes; changes since the charter: {count}; administrators now: {names}", values };
}

/** Who had authority. @param {Files} files @param {Policy | null} policy @param {WholeRegister | null} whole @returns {Promise<Authority>} */
export async function authorityOf(files, policy, whole) {
  if (!files.has("register.json") && policy === null) {
    throw new NotCheckable("the doorbell packed no proof of it ({name})", { name: "register.json" });
  }
  const proved = await provedExtract(files);
  const { origin } = proved.checkpoint;
  const charter = policy?.charters.get(origin) ?? null;
  const { agency } = requestUnverified(files);
  const register = await (whole === null ? byChain(proved, agency, charter) : byWhole(whole, proved, charter));
  const agreement = standing(register.agreements.get(agency) ?? [], proved.agreement.index);
  await checkOfficers(register, signedRequest(files));
  const record = register.requests.get(await requestDigest(signedRequest(files)));
  must(record === undefined || !record.isWithdrawn, "the request was withdrawn before the recording was released");
  if (policy === null) throw new NotCheckable("no policy is at hand: whose charter to believe isn't known");
  if (charter === null) throw new NotCheckable("the policy doesn't name the charter of {origin}, so it isn't known whose administrators these are", { origin });
  return { register, agreement, proved };
}

/** The register by all its entries: what is proved has effect in it. @param {WholeRegister} whole @param {ProvedExtract} proved @param {string | null} charter */
async function byWhole(whole, proved, charter) {
  const { register, voids } = await whole.replayed(proved.checkpoint, charter);
  for (const { index } of provenOf(proved)) {
    const why = voids.get(index);
    if (why !== undefined) throw why;
  }
  return register;
}

/** The register by the chain that the package brings. @param {ProvedExtract} proved @param {string} agency @param {string | null} charter */
async function byChain(proved, agency, charter) {
  const { chain } = proved.extract;
  if (chain === undefined) {
    throw new NotCheckable("the register's chain of changes is longer than a package holds, and {name}, the whole register, isn't at hand", { name: REGISTER_FILE });
  }
  return replayed(chain, proved, agency, charter);
}

/** What must have effect for the request to stand. @param {ProvedExtract} proved */
function provenOf({ agreement, officer, cosigner, request, renewed }) {
  return [agreement, officer, cosigner, request, ...renewed];
}

/** @param {AgreementRecord[]} known @param {number} index */
function standing(known, index) {
  const record = known.find((one) => one.index === index);
  must(record, "the agreement that is shown is of another agency");
  const found = /** @type {AgreementRecord} */ (record);
  must(!found.isSuspended, "the agency was suspended before the recording was released");
  return found;
}

/** @param {Register} register @param {any} signed */
async function checkOfficers(register, { officer, cosigner }) {
  for (const signed of [officer, cosigner]) {
    const found = await register.officerOf(signed);
    must(!found.isRevoked, "an officer's certificate was revoked before the release");
  }
}

/** The register after the chain and the proved entries. @param {any} chain @param {ProvedExtract} proved @param {string} agency @param {string | null} charter */
async function replayed(chain, proved, agency, charter) {
  const { checkpoint, last } = proved;
  const register = new Register(checkpoint.origin, charter);
  await register.apply(chain.charter);
  chain.links.forEach(checkLink);
  const links = new Map(chain.links.map((/** @type {import("./register.js").ChainLink} */ link) => [link.index, link]));
  const order = [...links.keys()];
  const isInOrder = links.size === chain.links.length && order.every((index, place) => index > (order[place - 1] ?? 0));
  must(isInOrder, "the chain's changes are out of order, or one is there twice");
  const known = new Map(provenOf(proved).map(({ index, entry }) => [index, entry]));
  const indexes = [...new Set([...order, ...known.keys()])].sort((one, other) => one - other);
  for (const index of indexes) {
    must(index > 0 && index <= last.index, "an entry is in the charter's place, or comes after the log's last");
    register.skipTo(index);
    const entry = known.get(index);
    const link = links.get(index);
    if (index === last.index) {
      checkLast(register, last.entry);
      checkSame(link, last.entry);
    }
    if (entry !== undefined) {
      checkSame(link, entry);
      await register.apply(entry);
    } else {
      await applyLink(register, link, agency);
    }
  }
  if (last.index >= register.size) {
    register.skipTo(last.index);
    checkLast(register, last.entry);
    await register.apply(last.entry).catch(passVoid); // of a part only, so it may be void here and not in the log
  }
  return register;
}

/** A link in the place of a proved entry is that entry's. @param {any} link undefined where there is none @param {string} entry */
function checkSame(link, entry) {
  if (link === undefined) return;
  const { body } = parseLeaf(entry);
  const isSame = body.change === link.change && canonical(body.signatures ?? null) === canonical(link.signatures);
  must(isSame, "an entry isn't the change that the chain has there");
}

/** @param {unknown} error */
function passVoid(error) {
  if (!(error instanceof WireError)) throw error;
}

/** @param {Register} register @param {any} link @param {string} agency */
async function applyLink(register, link, agency) {
  const { kind, agency: of } = JSON.parse(link.change);
  const isNeeded = kind === "admins" || kind === "limits" || of === agency;
  must(!isNeeded || link.content !== undefined, "the body of a change is missing");
  await register.applyLink(link);
}

/** @param {Register} register @param {string} entry */
function checkLast(register, entry) {
  register.checkCounts(parseLeaf(entry));
}

/** The agreement and both certificates were public for long enough (R17, R20). @param {Files} files @param {Policy | null} policy @param {() => Promise<Authority>} authority @returns {Promise<Said>} */
export async function checkAges(files, policy, authority) {
  if (policy === null) throw new NotCheckable("no policy is at hand: whose times to believe isn't known");
  if (!files.has("release.json")) throw new NotCheckable("without {name} nothing says by when it was there", { name: "release.json" });
  const { register, agreement, proved } = await authority();
  const { seen, fresh_ms, released_ms } = await times(files, proved, policy);
  const [first] = /** @type {AgreementRecord[]} */ (register.agreements.get(agreement.agreement.agency));
  const { key_age_ms, agreement_age_ms, freshness_ms } = register.delays;
  if (released_ms - fresh_ms > freshness_ms + SKEW_MS) {
    const values = { since: moment(fresh_ms), by: moment(released_ms) };
    throw new NotCheckable("witnesses saw the register that is here {since}, and the release {by}: what changed in between is not shown", values);
  }
  /** @param {number} index @param {number} age_ms */
  const isOldEnough = (index, age_ms) => seen.some(({ size, time_ms }) => size > index && released_ms - time_ms >= age_ms);
  for (const [index, age_ms] of [
    [first.index, agreement_age_ms],
    [agreement.index, key_age_ms],
    [proved.officer.index, key_age_ms],
    [proved.cosigner.index, key_age_ms],
  ]) {
    if (!isOldEnough(index, age_ms)) {
      throw new NotCheckable("that agreement and certificates had been public for {hours} hours when the owner released it is not shown", { hours: age_ms / HOUR_MS });
    }
  }
  const inForce = register.limits.filter(({ index }) => index === 0 || isOldEnough(index, key_age_ms)).at(-1);
  try {
    checkLimits(requestUnverified(files), inForce?.limits);
  } catch {
    throw new NotCheckable("that the limits which let the request in had been public for {hours} hours is not shown", { hours: key_age_ms / HOUR_MS });
  }
  return { template: "by {time}, when the release was witnessed", values: { time: moment(released_ms) } };
}

/** When witnesses had seen what, last the register, and the release. @param {Files} files @param {ProvedExtract} proved @param {Policy} policy */
async function times(files, { extract, checkpoint }, policy) {
  const parsed = extract.ages.map((/** @type {any} */ { note, hashes }) => ({ witnessed: parseWitnessed(note), hashes }));
  const release = parseProof(documentOf(files, "release.json").proof);
  /** @type {{size: number, time_ms: number}[]} */
  const seen = [];
  for (const { witnessed, hashes } of parsed) {
    must(witnessed.checkpoint.origin === checkpoint.origin, "a checkpoint of another log than the register");
    const { aged_ms: time_ms } = await trusted(policy, witnessed);
    await checkConsistency(witnessed.checkpoint, checkpoint, hashes.map(unb64u));
    seen.push({ size: witnessed.checkpoint.size, time_ms });
  }
  const { fresh_ms } = await trusted(policy, parseProof(extract.last.proof));
  const { aged_ms: released_ms } = await trusted(policy, release);
  return { seen, fresh_ms, released_ms };
}

/** @param {Policy} policy @param {{note: import("./tlog.js").Note, checkpoint: Checkpoint}} witnessed */
async function trusted(policy, witnessed) {
  try {
    return await checkWitnessed(policy, witnessed);
  } catch {
    throw new NotCheckable("how long they had been public is not shown: witnesses didn't see the checkpoints");
  }
}
