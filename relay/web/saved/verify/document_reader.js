/**
 * Parser of the documents in evidence. Who signed them is checked elsewhere.
 * @module
 */
import { isIdentity } from "../../static/js/protocol/decisions.js";
import { WireError, parseCanonical, sha256Hex, text, utf8 } from "../../static/js/protocol/encoding.js";
import { sha256OfBlob } from "../../static/js/protocol/sha256.js";
import { parseRequestUnverified } from "../../static/js/protocol/requests.js";

/** @typedef {import("../../static/js/protocol/encoding.js").Bytes} Bytes */
/** @typedef {Map<string, Bytes | Blob>} Files documents are in memory, clips are read piece by piece */
/** @typedef {{package_id: string, device: string, agency: string, grant_digest: string, keys: {recipient: string}[]}} Header */
/** @typedef {{files: Files, header: Header | null, beside: string[]}} Evidence `beside`: names that are no part of it, and weren't looked at */
/** @typedef {{id: string, signing_key: string}} KnownAgency `signing_key` is base64url of SubjectPublicKeyInfo */

/** Names that mean something in evidence, as in relay/verify/evidence.py. */
const PART_OF_EVIDENCE =
  /^((clip|manifest|part|trim|capture)-[1-9][0-9]?\.(mp4|json)|(contents|device|grant|identity|request|release|register)\.(json|pem))$/;

const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
const CLIP_NAME = /^clip-([1-9][0-9]?)\.mp4$/;

/** @param {string} name */
export function isPartOfEvidence(name) {
  return PART_OF_EVIDENCE.test(name);
}

/** Returns the evidence among files: what else lies there is only named. @param {Files} found @param {Header | null} [header] @returns {Evidence} */
export function evidenceOf(found, header = null) {
  const names = [...found.keys()];
  const files = new Map([...found].filter(([name]) => isPartOfEvidence(name)));
  return { files, header, beside: names.filter((name) => !isPartOfEvidence(name)) };
}

/** @param {unknown} condition @param {string} otherwise @param {import("../../static/js/protocol/encoding.js").Said["values"]} [values] */
export function must(condition, otherwise, values) {
  if (!condition) throw new WireError(otherwise, values);
}

/** Returns a document. @param {Files} files @param {string} name @returns {Bytes} */
export function fileOf(files, name) {
  const file = files.get(name);
  if (file === undefined) throw new WireError("there is no {name}", { name });
  if (file instanceof Blob) throw new WireError("{name} isn't a document", { name });
  return file;
}

/** @param {Files} files @param {number} number @returns {Blob} */
export function clipOf(files, number) {
  const name = `clip-${number}.mp4`;
  const file = files.get(name);
  if (file === undefined) throw new WireError("there is no {name}", { name });
  return file instanceof Blob ? file : new Blob([file]);
}

/** Returns SHA-256 over a file, in hexadecimal. @param {Files} files @param {string} name */
export async function digestOf(files, name) {
  const file = files.get(name);
  return file instanceof Blob ? sha256OfBlob(file) : sha256Hex(fileOf(files, name));
}

/** Reads the documents among files into memory; what else there is stays where it is. @param {Map<string, Blob>} found @returns {Promise<Files>} */
export async function readDocuments(found) {
  /** @type {Files} */
  const files = new Map();
  for (const [name, file] of found) {
    const isDocument = isPartOfEvidence(name) && !name.endsWith(".mp4");
    if (isDocument && file.size > MAX_DOCUMENT_BYTES) {
      throw new WireError("{name} has more than {most} bytes", { name, most: MAX_DOCUMENT_BYTES });
    }
    files.set(name, isDocument ? new Uint8Array(await file.arrayBuffer()) : file);
  }
  return files;
}

/** @param {Files} files @param {string} name @returns {any} whatever JSON can hold; callers name the type */
export function documentOf(files, name) {
  return parseCanonical(text(fileOf(files, name)));
}

/** @param {Files} files @returns {number[]} */
export function clipNumbers(files) {
  return [...files.keys()]
    .map((name) => CLIP_NAME.exec(name))
    .flatMap((found) => (found ? [Number(found[1])] : []))
    .sort((a, b) => a - b);
}

/** @param {Files} files */
export function signedRequest(files) {
  return documentOf(files, "request.json");
}

/** @param {Files} files */
export function requestUnverified(files) {
  return parseRequestUnverified(signedRequest(files));
}

/** @param {Files} files */
export function signedGrant(files) {
  return documentOf(files, "grant.json");
}

/** @param {Files} files */
export function statementUnverified(files) {
  const statement = parseCanonical(signedGrant(files).statement);
  must(statement.domain === "doorward/statement/v1" && statement.v === 1, "not a statement");
  const { kind, identity } = statement.terms;
  must(kind !== "grant" || isIdentity(identity), "what the owner gave of themselves isn't plain text");
  return statement;
}

/** @param {Files} files */
export function termsUnverified(files) {
  const { terms } = statementUnverified(files);
  must(terms.kind === "grant", "the owner's statement isn't a grant");
  return terms;
}

/** @param {Files} files */
export function grantDigest(files) {
  return sha256Hex(utf8(signedGrant(files).statement));
}

/** The package's id, by the list of files; who signed that isn't looked at here. @param {Files} files @returns {string} */
export function packageIdUnverified(files) {
  return parseCanonical(documentOf(files, "contents.json").contents).package_id;
}

/** @param {Files} files @param {number} number */
export function signedManifest(files, number) {
  return documentOf(files, `manifest-${number}.json`);
}

/** What it says; who signed it isn't looked at here. @param {Files} files @param {number} number */
export function manifestUnverified(files, number) {
  return parseCanonical(signedManifest(files, number).manifest);
}

/** @param {Files} files @param {number} number */
export function manifestDigest(files, number) {
  return sha256Hex(utf8(signedManifest(files, number).manifest));
}
