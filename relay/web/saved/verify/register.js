/**
 * The replay of the register: of all its entries, or of a part, which is the charter, all changes
 * after it, and the entries that are proved. The rules are those of
 * firmware/protocol/register/replay.py, and its words.
 * @module
 */
import { WireError, canonical, join, sha256Hex, unb64u, unhex, utf8 } from "../../static/js/protocol/encoding.js";
import { WITHDRAW_TAG, checkCertificate, checkOfficers, mayAsk, parseRequestUnverified, requestDigest } from "../../static/js/protocol/requests.js";
import { challenge, checkAssertion, checkPasskey } from "../../static/js/protocol/passkeys.js";
import { importP256, verifyP256 } from "../../static/js/protocol/p256.js";
import { isBlank } from "../../static/js/protocol/plain_text.js";
import { sealTo } from "../../static/js/protocol/sealing.js";
import { must } from "./document_reader.js";
import { Counts } from "./register_counts.js";
import { parseArea, parseBody, parseCertificate, parseHeader, parseLeaf, parseTerms, parseWithdrawal } from "./register_forms.js";

/** @typedef {{by: string, signature: string}} ChangeSignature */
/** @typedef {{index: number, change: string, signatures: ChangeSignature[], content?: string, area?: string}} ChainLink */
/** @typedef {{index: number, entry: string}} LoggedEntry */
/** @typedef {{index: number, agreement: any, cells: string[], merged: string[][], isSuspended: boolean}} AgreementRecord */
/** @typedef {{index: number, text: string, signature: string, certificate: any, signingKey: string, isRevoked: boolean}} OfficerRecord */
/** @typedef {{id: string, name: string, key: string}} Admin */
/** @typedef {import("./register_counts.js").RequestRecord} RequestRecord */

const AGREEMENT_TAG = utf8("doorward/agreement/v2\0");
const CHANGE_TAG = utf8("doorward/register-change/v2\0");
const CHAIN_TAG = utf8("doorward/register-chain/v1\0");
const OFFICER_TAG = utf8("doorward/officer/v1\0");
const NO_CHANGES = "0".repeat(64);
const EXAMPLE_PREFIX = "example.";
const WIDENING = ["charter", "admins", "limits", "agreement", "program"];
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_AGREEMENT_MS = 366 * DAY_MS;
const MAX_SKEW_MS = 10 * 60_000;
/** As in firmware/protocol/register/entries.py. */
const DELAYS = { key_age_ms: 72 * HOUR_MS, agreement_age_ms: 7 * DAY_MS, freshness_ms: HOUR_MS, slot_ms: 600_000, batch_ms: 900_000 };

/** The state of a register after the entries that were applied. */
export class Register {
  /** @param {string} origin @param {string | null} charter SHA-256 over the first entry; null where no policy names it */
  constructor(origin, charter) {
    this.origin = origin;
    this.charter = charter;
    this.size = 0;
    this.widenings = 0;
    this.narrowings = 0;
    this.chain = NO_CHANGES;
    /** @type {any} */
    this.delays = DELAYS;
    /** @type {{index: number, limits: any}[]} */
    this.limits = [];
    /** @type {Map<string, Admin>} */
    this.admins = new Map();
    /** @type {Map<string, AgreementRecord[]>} */
    this.agreements = new Map();
    /** @type {OfficerRecord[]} */
    this.officers = [];
    /** By the digest that grants name. @type {Map<string, RequestRecord>} */
    this.requests = new Map();
    /** Their digests by their ids. @type {Map<string, string>} */
    this.digests = new Map();
    this.counts = new Counts();
    /** @type {Set<string>} */
    this.nonces = new Set();
  }

  /** Passes entries that are no changes with effect. @param {number} index */
  skipTo(index) {
    must(Number.isSafeInteger(index) && index >= this.size, "an entry of the register is out of order, or there twice");
    this.size = index;
  }

  /** Applies the next entry, or throws what makes it void. @param {string} entry */
  async apply(entry) {
    const index = this.size;
    const isCharter = index > 0 || this.charter === null || (await sha256Hex(utf8(entry))) === this.charter;
    must(isCharter, "the first entry isn't the charter that the policy names");
    const leaf = parseLeaf(entry);
    this.checkCounts(leaf);
    const { body } = leaf;
    must(index > 0 || body.type === "change", "the first entry of a register is its charter");
    if (body.type === "change") {
      await this.applyLink({ ...body, index }, true);
    } else if (body.type === "officer") {
      await this.applyOfficer(index, body.signed);
    } else if (body.type === "request") {
      await this.applyRequest(body.signed);
    } else if (body.type === "withdrawn") {
      await this.applyWithdrawal(body.signed);
    } else {
      must(this.agreements.has(body.agency), "no agency of this id is known");
    }
    this.size = index + 1;
  }

  /** A leaf counts the changes that were taken before it. @param {any} leaf */
  checkCounts({ widenings, narrowings, chain }) {
    const isRight = widenings === this.widenings && narrowings === this.narrowings;
    const said = { widenings, narrowings, before: this.widenings, narrowed: this.narrowings };
    must(isRight, "it counts {widenings} widening and {narrowings} narrowing changes before it, and there are {before} and {narrowed}", said);
    must(chain === this.chain, "it counts other changes before it than there are");
  }

  /** Applies a change, of which the body may be left out. @param {ChainLink} link @param {boolean} [isWhole] */
  async applyLink({ index, change, signatures, content, area }, isWhole = false) {
    const header = parseHeader(change);
    must(header.origin === this.origin, "made for another log");
    must(!this.nonces.has(header.nonce), "this change was made before");
    const isWidening = WIDENING.includes(header.kind);
    must(isWidening || header.follows === undefined, "what only narrows is bound to no place");
    must(!isWidening || header.follows === this.widenings, "another change was published since this one was written, or is missing");
    const message = join(CHANGE_TAG, utf8(change));
    await this.checkRight(header, signatures, message, isWhole);
    let take = () => {};
    if (content === undefined) {
      must(header.kind !== "charter", "only the first entry is a charter");
    } else {
      const body = await bodyOf(header, content);
      must(area === undefined || header.kind === "agreement", "only an agreement has an area");
      must(!isWhole || area !== undefined || header.kind !== "agreement", "the agreement's cells are missing");
      take = await this.prepared(index, body, signatures, message, area, isWhole);
    }
    this.nonces.add(header.nonce);
    if (isWidening) this.widenings += 1;
    else this.narrowings += 1;
    const link = utf8(canonical({ index, change, signatures }));
    this.chain = await sha256Hex(join(CHAIN_TAG, unhex(this.chain), link));
    take();
    this.size = index + 1;
  }

  /** Its signers may make such a change; a charter names them itself. @param {any} header @param {ChangeSignature[]} signatures @param {Uint8Array} message @param {boolean} isWhole */
  async checkRight({ kind, agency }, signatures, message, isWhole) {
    if (kind === "charter") return;
    const keys = this.adminKeys();
    const newest = this.agreements.get(agency)?.at(-1);
    if (kind === "officer_revoked" && newest === undefined && agency !== undefined && !isWhole) {
      // of an agency that isn't seen, the own key isn't known
      await checkSigners(signatures.filter(({ by }) => by !== agency), message, keys, 0);
      return;
    }
    if (kind === "officer_revoked" && newest !== undefined) keys.set(agency, newest.agreement.signing_key);
    await checkSigners(signatures, message, keys, WIDENING.includes(kind) ? 2 : 1);
  }

  adminKeys() {
    return new Map([...this.admins].map(([id, { key }]) => [id, key]));
  }

  /**
   * Checks a change's body; returns what takes it.
   * @param {number} index @param {any} body @param {ChangeSignature[]} signatures @param {Uint8Array} message
   * @param {string | undefined} area @param {boolean} isWhole @returns {Promise<() => void>}
   */
  async prepared(index, body, signatures, message, area, isWhole) {
    if (body.kind === "charter") return this.preparedCharter(index, body, signatures, message);
    if (body.kind === "officer_revoked") return this.preparedRevocation(body, isWhole);
    if (body.kind === "suspended") {
      const known = this.agreements.get(body.agency);
      if (known === undefined) throw new WireError("no agency of this id is known");
      return () => known.forEach((record) => (record.isSuspended = true));
    }
    if (body.kind === "admins") {
      const admins = await adminsById(body.admins);
      must(![...admins.keys()].some((id) => this.agreements.has(id)), "an agency has an administrator's id");
      return () => void (this.admins = admins);
    }
    if (body.kind === "limits") return () => void this.limits.push({ index, limits: body.limits });
    if (body.kind === "agreement") return this.preparedAgreement(index, body.signed, area);
    return () => {};
  }

  /** @param {number} index @param {any} charter @param {ChangeSignature[]} signatures @param {Uint8Array} message */
  async preparedCharter(index, charter, signatures, message) {
    must(index === 0, "only the first entry is a charter");
    const isExample = this.origin.startsWith(EXAMPLE_PREFIX);
    must(charter.is_example === isExample, "a log is an example if, and only if, its name says so");
    must(isExample || keepsTheRules(charter), "shorter delays or looser limits than the rules allow");
    const admins = await adminsById(charter.admins);
    await checkCharterSigners(charter, signatures, message, this.origin);
    return () => {
      this.admins = admins;
      this.delays = charter.delays;
      this.limits = [{ index, limits: charter.limits }];
    };
  }

  /** @param {number} index @param {{agreement: string, signature: string, area?: string}} signed @param {string | undefined} area */
  async preparedAgreement(index, signed, area) {
    must(signed.area === undefined, "an agreement's area stands beside its body, not in it");
    const agreement = await checkAgreement(signed);
    must(agreement.origin === this.origin, "the agreement was made for another log");
    for (const key of agreement.sealing_keys) await checkSealingKey(key);
    const length_ms = agreement.ends_ms - agreement.begins_ms;
    must(length_ms > 0 && length_ms <= MAX_AGREEMENT_MS, "an agreement holds for twelve months at most");
    must(!this.admins.has(agreement.agency), "an administrator has this id");
    const known = this.agreements.get(agreement.agency) ?? [];
    must(agreement.version === known.length + 1, "the next version of this agreement is {version}", { version: known.length + 1 });
    const { cells, merged } = area === undefined ? { cells: [], merged: [] } : await areaOf(agreement, area);
    const record = { index, agreement, cells, merged, isSuspended: false };
    return () => void this.agreements.set(agreement.agency, [...known, record]);
  }

  /** @param {any} body @param {boolean} isWhole */
  preparedRevocation({ agency, officer_id }, isWhole) {
    const known = this.officers.filter(({ certificate }) => certificate.agency === agency && certificate.officer_id === officer_id);
    // Of a part, nobody else's certificates are here: there is nothing to take back.
    must(!isWhole || known.length > 0, "no such officer is certified");
    return () => known.forEach((record) => (record.isRevoked = true));
  }

  /** @param {number} index @param {{certificate: string, signature: string}} signed */
  async applyOfficer(index, signed) {
    const certificate = parseCertificate(signed.certificate);
    const newest = this.agreements.get(certificate.agency)?.at(-1);
    if (newest === undefined) throw new WireError("no agency of this id is known");
    const signingKey = newest.agreement.signing_key;
    must(await isCertified(signed, signingKey), "the agency didn't certify this officer");
    await checkPasskey(unb64u(certificate.passkey.public_key));
    const text = signed.certificate;
    const isThere = this.officers.some((one) => one.text === text && one.signingKey === signingKey);
    must(!isThere, "this certificate is here already");
    this.officers.push({ index, text, signature: signed.signature, certificate, signingKey, isRevoked: false });
  }

  /** The record of this very certificate. @param {{certificate: string, signature: string}} signed */
  async officerOf(signed) {
    for (const record of [...this.officers].reverse()) {
      if (record.text !== signed.certificate) continue;
      if (record.signature === signed.signature || (await isCertified(signed, record.signingKey))) return record;
    }
    throw new WireError("an officer's certificate isn't in the register");
  }

  /** @param {any} signed */
  async applyRequest(signed) {
    const request = parseRequestUnverified(signed);
    const digest = await requestDigest(signed);
    must(!this.requests.has(digest) && !this.digests.has(request.id), "this request was published before");
    const officer = await this.officerOf(signed.officer);
    const cosigner = await this.officerOf(signed.cosigner);
    must(!officer.isRevoked && !cosigner.isRevoked, "an officer's certificate was revoked");
    const drafter = await certified(signed.officer, officer, officer.signingKey);
    await checkOfficers(signed, request, drafter, await certified(signed.cosigner, cosigner, officer.signingKey));
    const known = this.agreements.get(request.agency) ?? [];
    const usable = known.filter(({ agreement, isSuspended }) => !isSuspended && agreement.signing_key === officer.signingKey);
    const judging = usable.at(-1);
    if (judging === undefined) throw new WireError("the agency is suspended, or has another key now");
    checkArea(request.cells, judging);
    const limits = this.limits.at(-1)?.limits;
    checkLimits(request, limits);
    const renewed = request.renews === undefined ? null : this.renewedBy(request);
    this.counts.check(request, limits, renewed);
    const record = { request: this.counts.kept(request), isWithdrawn: false, renewedBy: null };
    this.requests.set(digest, record);
    this.digests.set(request.id, digest);
    this.counts.add(record);
    if (renewed !== null) renewed.renewedBy = digest;
  }

  /** What a request renews. @param {any} request @returns {RequestRecord} */
  renewedBy(request) {
    const record = this.requests.get(this.digests.get(request.renews) ?? "");
    if (record === undefined || record.isWithdrawn) throw new WireError("the request that it renews isn't in the register");
    const renewed = record.request;
    /** @type {Record<string, unknown>} */
    const kept = { ...renewed };
    must(record.renewedBy === null && renewed.renews === undefined, "a request can be renewed once");
    const names = ["agency", "case_number", "incident_type", "cells", "from_ms", "to_ms", "danger"];
    const isSame = canonical(names.map((name) => request[name])) === canonical(names.map((name) => kept[name]));
    must(isSame, "a renewal asks for the same case, place and time");
    const stands = renewed.created_ms <= request.created_ms && request.created_ms <= renewed.expires_ms;
    must(stands, "a request can be renewed while it stands");
    must(request.expires_ms >= renewed.expires_ms, "a renewal stands as long as what it renews, or longer");
    return record;
  }

  /** @param {any} signed */
  async applyWithdrawal(signed) {
    const officer = await this.officerOf(signed.officer);
    must(!officer.isRevoked, "an officer's certificate was revoked");
    const withdrawal = parseWithdrawal(signed.withdrawal);
    const { agency, officer_id, passkey } = officer.certificate;
    must(agency === withdrawal.agency && officer_id === withdrawal.officer_id, "an officer's certificate is for somebody else");
    must(mayAsk(officer.certificate), "only an officer or an approver signs requests");
    await checkAssertion(signed.assertion, passkey, await challenge(WITHDRAW_TAG, signed.withdrawal));
    const record = this.requests.get(withdrawal.request_digest);
    if (record === undefined || record.request.agency !== withdrawal.agency) throw new WireError("the agency published no such request");
    must(!record.isWithdrawn, "this request was withdrawn before");
    const renewed = this.requests.get(this.digests.get(record.request.renews ?? "") ?? "");
    for (const one of [record, renewed]) if (one !== undefined) one.isWithdrawn = true;
  }
}

/** @param {any} header @param {string} content */
async function bodyOf(header, content) {
  must((await sha256Hex(utf8(content))) === header.body_sha256, "its body isn't the one that was signed");
  const body = parseBody(content);
  const agency = body.kind === "agreement" ? parseTerms(body.signed.agreement).agency : body.agency;
  must(body.kind === header.kind && agency === header.agency, "its header says another kind or agency than its body");
  return body;
}

/** Returns the agreement's terms if the key in them signed them. @param {{agreement: string, signature: string}} signed */
export async function checkAgreement(signed) {
  const agreement = parseTerms(signed.agreement);
  const message = join(AGREEMENT_TAG, utf8(signed.agreement));
  const holds = await verifyP256(unb64u(agreement.signing_key), unb64u(signed.signature), message);
  must(holds, "the agency didn't sign this agreement");
  return agreement;
}

/** @param {any} agreement @param {string} area @returns {Promise<{cells: string[], merged: string[][]}>} */
export async function areaOf(agreement, area) {
  const { cells, merged } = parseArea(area);
  must((await sha256Hex(utf8(area))) === agreement.area_sha256, "the cells aren't those of the agreement");
  return { cells, merged };
}

/** @param {string[]} cells @param {{cells: string[], merged: string[][]}} area */
export function checkArea(cells, { cells: own, merged }) {
  must(cells.every((cell) => own.includes(cell)), "a place isn't inside the agency's jurisdiction");
  for (const group of merged) {
    const asked = group.filter((cell) => cells.includes(cell));
    must(asked.length === 0 || asked.length === group.length, "cells with few addresses are asked for together");
  }
}

/** @param {Admin[]} admins */
async function adminsById(admins) {
  for (const { key } of admins) await importP256(unb64u(key));
  const byId = new Map(admins.map((admin) => [admin.id, admin]));
  const isApart = byId.size === admins.length && new Set(admins.map(({ key }) => key)).size === admins.length;
  must(isApart, "each administrator has an id and a key of their own");
  return byId;
}

/** So many different people signed, and nobody else. @param {ChangeSignature[]} signatures @param {Uint8Array} message @param {Map<string, string>} keys @param {number} atLeast */
async function checkSigners(signatures, message, keys, atLeast) {
  for (const { by, signature } of signatures) {
    const key = keys.get(by);
    if (key === undefined) throw new WireError("{by} has no right to sign this", { by });
    const holds = await verifyP256(unb64u(key), unb64u(signature), message);
    must(holds, "the signature of {by} doesn't match", { by });
  }
  must(new Set(signatures.map(({ by }) => by)).size >= atLeast, "{count} administrators must sign this", { count: atLeast });
}

/** A key that nothing can be sealed to would make a grant fail once it is spent. @param {string} key */
async function checkSealingKey(key) {
  try {
    await sealTo(unb64u(key), new Uint8Array(), new Uint8Array());
  } catch {
    throw new WireError("nothing can be sealed to a key of the agreement");
  }
}

/** Two of its administrators signed, and two of those whom it succeeds; whether they were that register's isn't known here. @param {any} charter @param {ChangeSignature[]} signatures @param {Uint8Array} message @param {string} origin */
async function checkCharterSigners({ admins, succeeds }, signatures, message, origin) {
  /** @param {Map<string, Admin>} people */
  const keysOf = (people) => new Map([...people].map(([id, { key }]) => [id, key]));
  const own = keysOf(await adminsById(admins));
  must(succeeds === undefined || succeeds.origin !== origin, "a register doesn't succeed itself");
  const old = succeeds === undefined ? new Map() : keysOf(await adminsById(succeeds.by));
  const isOne = [...old].every(([id, key]) => (own.get(id) ?? key) === key);
  must(isOne, "an administrator has another key than in the register that this one succeeds");
  await checkSigners(signatures, message, new Map([...own, ...old]), 2);
  /** @param {Map<string, string>} keys */
  const signersOf = (keys) => new Set(signatures.map(({ by }) => by).filter((by) => keys.has(by))).size;
  must(signersOf(own) >= 2, "{count} administrators must sign this", { count: 2 });
  must(succeeds === undefined || signersOf(old) >= 2, "{count} administrators of the register that it succeeds must sign this", { count: 2 });
}

/** A request's certificate; one that is in the register was checked on its way in. @param {{certificate: string, signature: string}} signed @param {OfficerRecord} record @param {string} signingKey */
function certified(signed, record, signingKey) {
  const isChecked = signed.certificate === record.text && signed.signature === record.signature && record.signingKey === signingKey;
  return isChecked ? record.certificate : checkCertificate(signed, signingKey);
}

/** @param {{certificate: string, signature: string}} signed @param {string} signingKey */
function isCertified(signed, signingKey) {
  return verifyP256(unb64u(signingKey), unb64u(signed.signature), join(OFFICER_TAG, utf8(signed.certificate)));
}

/** @param {any} charter */
function keepsTheRules({ delays, limits }) {
  const isSlow = delays.key_age_ms >= DELAYS.key_age_ms && delays.agreement_age_ms >= DELAYS.agreement_age_ms;
  const isOnTime = delays.freshness_ms <= DELAYS.freshness_ms && delays.slot_ms === DELAYS.slot_ms && delays.batch_ms >= DELAYS.batch_ms;
  const isNarrow = limits.min_window_ms >= HOUR_MS / 4 && limits.max_window_ms <= 12 * HOUR_MS && limits.long_window_ms <= 2 * HOUR_MS;
  const isShort = limits.max_age_ms <= 30 * DAY_MS && limits.max_life_ms <= 7 * DAY_MS && limits.area_quiet_ms >= DAY_MS;
  return isSlow && isOnTime && isNarrow && isShort && limits.max_per_case <= 2 && limits.max_open_per_officer <= 5;
}

/** R2, R3 and R15, as firmware/protocol/register/rules.py has them. @param {any} request @param {any} limits */
export function checkLimits({ created_ms, expires_ms, from_ms, to_ms, cells, danger, reason }, limits) {
  const [life_ms, window_ms] = [expires_ms - created_ms, to_ms - from_ms];
  must(life_ms > 0 && life_ms <= limits.max_life_ms, "a request stands for longer than it may");
  must(window_ms >= limits.min_window_ms && window_ms <= limits.max_window_ms, "a request asks for more time than it may, or less");
  must(to_ms <= created_ms + MAX_SKEW_MS, "a request may not ask for a time that isn't over");
  must(danger === "" || !isBlank(danger), "an emergency says what the danger is");
  must(from_ms >= created_ms - limits.max_age_ms, "a request goes back further than it may");
  const isLong = window_ms > limits.long_window_ms;
  must(!isLong || (danger === "" && !isBlank(reason)), "for so much time a reason must be written, and no emergency asks for it");
  must(new Set(cells).size === cells.length && cells.length <= limits.max_cells, "a place is named twice, or too many are");
}
