/**
 * The verification report of one package, with the checks in the order of relay/verify/report.py.
 * @module
 */
import { authorityOf, checkAges, checkAuthority } from "./authority.js";
import { CODE, codeOf, run } from "./checks.js";
import { checkCapture, checkDate, checkIdentity, checkRegister, checkRelease, checkWitnesses, exampleOrigin, registeredAgency } from "./logs.js";
import * as papers from "./document_checks.js";
import { clipNumbers, termsUnverified } from "./document_reader.js";
import * as recordings from "./recordings.js";

/** @typedef {import("./authority.js").Authority} Authority */
/** @typedef {import("./checks.js").Check} Check */
/** @typedef {import("./document_reader.js").Evidence} Evidence */
/** @typedef {import("./document_reader.js").KnownAgency} KnownAgency */
/** @typedef {import("./tlog.js").Policy} Policy */
/** @typedef {import("../../static/js/protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {import("./register_file.js").WholeRegister} WholeRegister */
/** @typedef {{agency: KnownAgency | null, policy: Policy | null, fleetCa: string | null, register: WholeRegister | null}} Given */
/** @typedef {{number: number, manifest: ClipManifest, has_sound: boolean, is_sound_given: boolean, part: import("./recordings.js").ReleasedPart}} Recording */
/** @typedef {{checks: Check[], recordings: Recording[], code: number, example: string | null}} Report */

/** @param {Evidence} evidence @param {Given} given @returns {Promise<Report>} */
export async function checkEvidence(evidence, given) {
  const { files, header } = evidence;
  const { policy, fleetCa, register } = given;
  const authority = once(() => authorityOf(files, policy, register));
  const agency = await knownAgency(evidence, given, authority);
  const checks = header === null ? [] : [await run(CODE.PACKAGE, "seal", async () => {})];
  checks.push(
    await run(CODE.PACKAGE, "files", () => papers.checkFiles(evidence)),
    await run(CODE.DEVICE, "device", () => papers.checkDevice(files)),
    await run(CODE.DEVICE, "fleet", () => papers.checkFleet(files, fleetCa)),
    await run(CODE.REQUEST, "request", () => papers.checkRequest(files, agency)),
    await run(CODE.GRANT, "grant", () => papers.checkGrant(evidence, agency)),
    await run(CODE.GRANT, "clips", () => papers.checkClipsGiven(files)),
    await run(CODE.LOG, "register", () => checkRegister(files, policy)),
    await run(CODE.LOG, "authority", () => checkAuthority(authority, register)),
    await run(CODE.LOG, "ages", () => checkAges(files, policy, authority)),
    await run(CODE.LOG, "release", () => checkRelease(files, policy)),
    await run(CODE.POLICY, "witnesses", () => checkWitnesses(files, policy)),
  );
  /** @type {Recording[]} */
  const proven = [];
  for (const number of clipNumbers(files)) {
    const made = await recordingChecks(evidence, number, policy);
    checks.push(...made);
    if (made.every((check) => check.result !== "fails")) proven.push(await recordingOf(evidence, number));
  }
  return { checks, recordings: proven, code: codeOf(checks), example: exampleOrigin(files) };
}

/** Returns what is looked for once, however often it is asked for. @template T @param {() => Promise<T>} look @returns {() => Promise<T>} */
function once(look) {
  /** @type {Promise<T> | null} */
  let found = null;
  return () => (found ??= look());
}

/** Who must have asked: by the register, which knows an agency's older keys as well. @param {Evidence} evidence @param {Given} given @param {() => Promise<Authority>} authority */
async function knownAgency({ files }, { agency, policy }, authority) {
  const registered = await registeredAgency(files, policy, authority);
  const isSame = agency === null || registered === null || agency.id === registered.id;
  return isSame ? (registered ?? agency) : agency;
}

/** @param {Evidence} evidence @param {number} number @param {Policy | null} policy */
async function recordingChecks({ files }, number, policy) {
  const where = `clip-${number}.mp4`;
  return [
    await run(CODE.DEVICE, "manifest", async () => void (await recordings.checkSignature(files, number)), where),
    await run(CODE.GRANT, "range", () => recordings.checkRange(files, number), where),
    await run(CODE.PICTURES, "footage", () => recordings.checkPictures(files, number), where),
    await run(CODE.SOUND, "sound", async () => void (await recordings.checkSound(files, number)), where),
    await run(CODE.CAPTURE, "capture", () => checkCapture(files, number, policy), where),
    await run(CODE.CAPTURE, "date", () => checkDate(files, number, policy), where),
    await run(CODE.CAPTURE, "identity", () => checkIdentity(files, number, policy), where),
    await run(CODE.PROVENANCE, "provenance", () => recordings.checkProvenance(files, number), where),
  ];
}

/** @param {Evidence} evidence @param {number} number @returns {Promise<Recording>} */
async function recordingOf({ files }, number) {
  return {
    number,
    manifest: await recordings.checkSignature(files, number),
    has_sound: await recordings.checkSound(files, number),
    is_sound_given: termsUnverified(files).has_audio,
    part: recordings.partOf(files, number),
  };
}
