/**
 * Transparency logs in the C2SP formats, as far as evidence needs them: firmware/protocol/tlog.
 *
 * tlog-proof, signed-note, tlog-checkpoint, tlog-cosignature (v1, Ed25519) and tlog-policy.
 * @module
 */
import { WireError, hex, join, sha256, utf8 } from "../../static/js/protocol/encoding.js";
import { must } from "./document_reader.js";

/** @typedef {{name: string, kind: number, id: string, key: Uint8Array<ArrayBuffer>}} NoteKey */
/** @typedef {{name: string, id: string, signature: Uint8Array<ArrayBuffer>}} NoteSignature */
/** @typedef {{text: string, signatures: NoteSignature[]}} Note */
/** @typedef {{origin: string, size: number, root: Uint8Array}} Checkpoint */
/** @typedef {{index: number, hashes: Uint8Array[], note: Note, checkpoint: Checkpoint}} Proof */
/** @typedef {{name: string, threshold: number, members: string[]}} Group */
/** @typedef {{logs: NoteKey[], witnesses: Map<string, NoteKey>, groups: Group[], quorum: string, charters: Map<string, string>}} Policy */

/** Witnesses' clocks and a doorbell's may differ by so much. */
export const SKEW_MS = 2 * 60_000;
/** A line of our own, which is a comment to every other reader of the format. */
const CHARTER = "#charter";
const HEADER = "c2sp.org/tlog-proof@v1";
const LOG_KEY = 1;
const WITNESS_KEY = 4;
const SIGN_OF_X = 2n ** 255n;
const PRIME = SIGN_OF_X - 19n;
/** The y of a point of order 8; the other is its negative. */
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const LOW_ORDER = new Set([0n, 1n, PRIME - 1n, ORDER_8, PRIME - ORDER_8]);
const MAX_HASHES = 63;
const MAX_TIME_S = 253_402_300_799;

/** @param {Uint8Array} entry */
export function leafHash(entry) {
  return sha256(join(Uint8Array.of(0), entry));
}

/**
 * Returns the root that an inclusion proof leads to (RFC 9162, 2.1.3.2).
 * @param {{index: number, size: number, leaf: Uint8Array, hashes: Uint8Array[]}} proof
 */
export async function inclusionRoot({ index, size, leaf, hashes }) {
  const isPossible = Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size;
  must(isPossible, "nothing can be proved of this place");
  must(hashes.length <= MAX_HASHES && hashes.every((hash) => hash.length === 32), "not a proof");
  let [place, last, node] = [BigInt(index), BigInt(size) - 1n, leaf];
  for (const hash of hashes) {
    must(last > 0n, "the proof has too many hashes");
    if (place & 1n || place === last) {
      node = await sha256(join(Uint8Array.of(1), hash, node));
      while (!(place & 1n) && place > 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      node = await sha256(join(Uint8Array.of(1), node, hash));
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  must(last === 0n, "the proof has too few hashes");
  return node;
}

/**
 * Checks that the tree of a checkpoint begins with that of an earlier one (RFC 9162, 2.1.4.2).
 * @param {Checkpoint} old @param {Checkpoint} newest @param {Uint8Array[]} hashes
 */
export async function checkConsistency(old, newest, hashes) {
  must(old.size > 0 && old.size <= newest.size, "nothing can be proved of this size");
  must(hashes.length <= 2 * MAX_HASHES && hashes.every((hash) => hash.length === 32), "not a proof");
  if (old.size === newest.size) {
    must(hashes.length === 0 && hex(old.root) === hex(newest.root), "one size has one root, and nothing to prove");
    return;
  }
  let [place, last] = [BigInt(old.size) - 1n, BigInt(newest.size) - 1n];
  while (place & 1n) [place, last] = [place >> 1n, last >> 1n];
  const path = place === 0n ? [old.root, ...hashes] : hashes;
  must(path.length > 0, "the proof has too few hashes");
  let [before, after] = [path[0], path[0]];
  for (const hash of path.slice(1)) {
    must(last > 0n, "the proof has too many hashes");
    if (place & 1n || place === last) {
      before = await sha256(join(Uint8Array.of(1), hash, before));
      after = await sha256(join(Uint8Array.of(1), hash, after));
      while (!(place & 1n) && place > 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      after = await sha256(join(Uint8Array.of(1), after, hash));
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  must(last === 0n, "the proof has too few hashes");
  const isSame = hex(before) === hex(old.root) && hex(after) === hex(newest.root);
  must(isSame, "the consistency proof leads to another root");
}

/** @param {string} proof @returns {Proof} */
export function parseProof(proof) {
  const gap = proof.indexOf("\n\n");
  must(gap >= 0, "a proof has an empty line before its checkpoint");
  const lines = proof.slice(0, gap).split("\n");
  must(lines.shift() === HEADER, "a proof begins with {header}", { header: HEADER });
  if (lines[0]?.startsWith("extra ")) unb64(/** @type {string} */ (lines.shift()).slice(6));
  const index = lines.shift() ?? "";
  must(index.startsWith("index "), "a proof says the entry's index");
  const note = parseNote(proof.slice(gap + 2));
  const hashes = lines.map(parseHash);
  return { index: parseSize(index.slice(6)), hashes, note, checkpoint: parseCheckpoint(note.text) };
}

/** A checkpoint that isn't part of a proof. @param {string} data @returns {{note: Note, checkpoint: Checkpoint}} */
export function parseWitnessed(data) {
  const note = parseNote(data);
  return { note, checkpoint: parseCheckpoint(note.text) };
}

/** Checks that an entry is under the checkpoint that its proof brings; whose it is, isn't. @param {string} proof @param {Uint8Array} entry */
export async function checkInclusion(proof, entry) {
  const { index, hashes, checkpoint } = parseProof(proof);
  const leaf = await leafHash(entry);
  const root = await inclusionRoot({ index, size: checkpoint.size, leaf, hashes });
  must(hex(root) === hex(checkpoint.root), "the inclusion proof leads to another root");
  return checkpoint;
}

/** @param {string} data @returns {Note} */
function parseNote(data) {
  const gap = data.lastIndexOf("\n\n");
  must(gap >= 0 && data.endsWith("\n"), "a note has an empty line between its text and its signatures");
  must(!/[\0-\x09\x0b-\x1f]/.test(data), "a note has no control characters");
  const lines = data.slice(gap + 2).split("\n").slice(0, -1);
  const signatures = lines.map((line) => {
    const [dash, name, encoded, ...more] = line.split(" ");
    must(dash === "—" && name && encoded && more.length === 0, "not a signature's line");
    const signed = unb64(encoded);
    must(signed.length > 4, "the signature is too short");
    return { name, id: hex(signed.subarray(0, 4)), signature: signed.slice(4) };
  });
  return { text: data.slice(0, gap + 1), signatures };
}

/** @param {string} noteText @returns {Checkpoint} */
function parseCheckpoint(noteText) {
  const [origin, size, root, ...rest] = noteText.split("\n").slice(0, -1);
  must(origin && size && root && rest.every(Boolean), "a checkpoint has at least three lines");
  return { origin, size: parseSize(size), root: parseHash(root) };
}

/** @param {string} policy @returns {Promise<Policy>} */
export async function parsePolicy(policy) {
  must(policy.endsWith("\n"), "the policy's last line doesn't end with a newline: was it cut off?");
  /** @type {Policy} */
  const read = { logs: [], witnesses: new Map(), groups: [], quorum: "", charters: new Map() };
  for (const line of policy.split("\n")) {
    const words = line.trim().split(/[ \t]+/);
    if (words[0] === "" || (words[0].startsWith("#") && words[0] !== CHARTER)) continue;
    await readLine(read, words);
  }
  must(read.quorum, "a policy has one quorum line");
  const isKnown = [...read.charters.keys()].every((origin) => read.logs.some(({ name }) => name === origin));
  must(isKnown, "a charter of a log that the policy doesn't know");
  return read;
}

/** @param {Policy} read @param {string[]} words */
async function readLine(read, [keyword, ...words]) {
  const names = new Set([...read.witnesses.keys(), ...read.groups.map(({ name }) => name), "none"]);
  if (keyword === "log") {
    read.logs.push(await newKey(read, words[0], LOG_KEY));
  } else if (keyword === "witness") {
    must(!names.has(words[0]), "a name is taken");
    read.witnesses.set(words[0], await newKey(read, words[1], WITNESS_KEY));
  } else if (keyword === "group") {
    const [name, wanted, ...members] = words;
    const isKnown = members.every((member) => member !== "none" && names.has(member));
    must(!names.has(name) && isKnown && new Set(members).size === members.length, "not a group");
    const threshold = wanted === "all" ? members.length : wanted === "any" ? 1 : Number(wanted);
    must(Number.isInteger(threshold) && threshold >= 1 && threshold <= members.length, "not a group");
    read.groups.push({ name, threshold, members });
  } else if (keyword === "quorum") {
    must(!read.quorum && words[0] !== "none" && names.has(words[0]), "not a quorum");
    read.quorum = words[0];
  } else if (keyword === CHARTER) {
    const [origin, digest, ...more] = words;
    must(origin && /^[0-9a-f]{64}$/.test(digest ?? "") && more.length === 0 && !read.charters.has(origin), "not a charter");
    read.charters.set(origin, digest);
  } else {
    throw new WireError("a policy has no line that begins with {keyword}", { keyword });
  }
}

/** @param {Policy} read @param {string} vkey @param {number} kind @returns {Promise<NoteKey>} one that isn't there yet */
async function newKey(read, vkey, kind) {
  const key = await parseKey(vkey, kind);
  const known = [...read.logs, ...read.witnesses.values()].map((other) => hex(other.key));
  must(!known.includes(hex(key.key)), "the public key of {name} is there already", { name: key.name });
  return key;
}

/** @param {string} vkey @param {number} kind @returns {Promise<NoteKey>} */
async function parseKey(vkey, kind) {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey ?? "") ?? [];
  must(encoded, "a key is written name+id+base64");
  const typed = unb64(encoded);
  must(typed.length === 33 && typed[0] === kind, "{name} is a key of another kind", { name });
  const y = BigInt(`0x${hex(typed.slice(1).reverse())}`) & (SIGN_OF_X - 1n);
  must(y < PRIME && !LOW_ORDER.has(y), "the key of {name} isn't in its one form, or it is of low order", { name });
  const digest = await sha256(join(utf8(name), utf8("\n"), typed));
  must(hex(digest.subarray(0, 4)) === id, "the key id of {name} isn't that of this key and name", { name });
  return { name, kind, id, key: typed.slice(1) };
}

/**
 * Checks that the log signed and a quorum cosigned; returns by when a quorum had, and since when one has.
 * @param {Policy} policy @param {{note: Note, checkpoint: Checkpoint}} proof
 * @returns {Promise<{aged_ms: number, fresh_ms: number}>} as `Witnessed` in firmware/protocol/tlog/policy.py
 */
export async function checkWitnessed(policy, { note, checkpoint }) {
  const logs = policy.logs.filter((log) => log.name === checkpoint.origin);
  must(logs.length > 0, "the policy knows no log {origin}", { origin: checkpoint.origin });
  const isSigned = await Promise.all(logs.map((log) => isSignedByLog(note, log)));
  must(isSigned.includes(true), "{origin} isn't signed by a key that is known for it", { origin: checkpoint.origin });
  /** @type {[string, number][]} */
  const times = [];
  for (const [name, key] of policy.witnesses) {
    const found = signatureOf(note, key);
    if (found !== null) times.push([name, await cosignedAt(note, found, key)]);
  }
  times.sort(([, one], [, other]) => one - other);
  const [aged_ms, fresh_ms] = [timeOfQuorum(policy, times), timeOfQuorum(policy, times.toReversed())];
  if (aged_ms !== null && fresh_ms !== null) return { aged_ms, fresh_ms };
  const found = { count: times.length, origin: checkpoint.origin };
  throw new WireError("known witnesses that cosigned {origin}: {count}, which is no quorum", found);
}

/** The time of the cosignature that completes the quorum, in the order given. @param {Policy} policy @param {[string, number][]} times */
function timeOfQuorum(policy, times) {
  const seen = new Set();
  for (const [name, time_ms] of times) {
    seen.add(name);
    if (isMet(policy, seen)) return time_ms;
  }
  return null;
}

/** @param {Policy} policy @param {Set<string>} names */
function isMet(policy, names) {
  const met = new Set(names);
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= threshold) met.add(name);
  }
  return met.has(policy.quorum);
}

/** @param {Note} note @param {NoteKey} key */
function signatureOf(note, key) {
  const found = note.signatures.filter(({ name, id }) => name === key.name && id === key.id);
  must(found.length <= 1, "{name} signed twice", { name: key.name });
  return found[0] ?? null;
}

/** @param {Note} note @param {NoteKey} log */
async function isSignedByLog(note, log) {
  const found = signatureOf(note, log);
  if (found === null) return false;
  must(await verifies(log, found.signature, utf8(note.text)), "the signature of {name} is wrong", { name: log.name });
  return true;
}

/** @param {Note} note @param {NoteSignature} found @param {NoteKey} witness */
async function cosignedAt(note, { signature }, witness) {
  must(signature.length === 72, "the cosignature of {name} has another size", { name: witness.name });
  const time_s = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  must(time_s > 0n && time_s <= MAX_TIME_S, "the cosignature of {name} has no time that could be", { name: witness.name });
  const message = utf8(`cosignature/v1\ntime ${time_s}\n${note.text}`);
  const holds = await verifies(witness, signature.slice(8), message);
  must(holds, "the cosignature of {name} is wrong", { name: witness.name });
  return Number(time_s) * 1000;
}

/** @param {NoteKey} key @param {Uint8Array<ArrayBuffer>} signature @param {Uint8Array<ArrayBuffer>} message */
async function verifies(key, signature, message) {
  const imported = await crypto.subtle.importKey("raw", key.key, "Ed25519", false, ["verify"]);
  return signature.length === 64 && crypto.subtle.verify("Ed25519", imported, signature, message);
}

/** @param {string} digits */
function parseSize(digits) {
  must(/^(0|[1-9][0-9]{0,15})$/.test(digits) && Number.isSafeInteger(Number(digits)), "not a size");
  return Number(digits);
}

/** @param {string} encoded */
function parseHash(encoded) {
  const hash = unb64(encoded);
  must(hash.length === 32, "a hash has 32 bytes");
  return hash;
}

/** @param {string} encoded base64 (RFC 4648, section 4), in its one spelling */
function unb64(encoded) {
  must(/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded), "not base64");
  const binary = atob(encoded);
  must(btoa(binary) === encoded, "not base64 in canonical form");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

