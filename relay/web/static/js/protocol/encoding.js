/**
 * Canonical JSON (RFC 8785), base64url, ids and digests, as in firmware/protocol/encoding.py.
 *
 * Doorward's documents hold strings, safe integers, booleans, null, lists and objects only, so
 * the canonical form needs no rule for fractions.
 * @module
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
export const ID_PATTERN = /^[a-z2-7]{26}$/;
/** The end of the year 9999: the last time that a document can name. */
export const LAST_MS = 253_402_300_799_999;

/** A text with `{name}` in it and what stands there, so that it can be said in another language. */
/** @typedef {{template: string, values: Record<string, string | number>}} Said */

/** Returns a text, filled in. @param {string} template @param {Said["values"]} values */
export function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (all, name) => (Object.hasOwn(values, name) ? String(values[name]) : all));
}

/** An error that people are told of; its message is in English. */
export class Told extends Error {
  /** @param {string} template @param {Said["values"]} [values] */
  constructor(template, values = {}) {
    super(filled(template, values));
    /** @type {Said} */
    this.said = { template, values };
  }
}

/** A document is not what it must be; the text says what was expected. */
export class WireError extends Told {
  /** @param {string} template @param {Said["values"]} [values] */
  constructor(template, values) {
    super(template, values);
    this.name = "WireError";
  }
}

/**
 * Returns the canonical JSON of a value.
 * @param {unknown} value
 * @returns {string}
 */
export function canonical(value) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return canonicalInteger(value);
  if (typeof value === "string") return canonicalString(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object") {
    const object = /** @type {Record<string, unknown>} */ (value);
    const names = Object.keys(object).sort();
    return `{${names.map((name) => `${canonicalString(name)}:${canonical(object[name])}`).join(",")}}`;
  }
  throw new WireError("{type} has no place in a document", { type: typeof value });
}

/** @param {number} value */
function canonicalInteger(value) {
  if (!Number.isSafeInteger(value)) throw new WireError("{value} isn't a safe integer", { value });
  return String(value === 0 ? 0 : value);
}

/** @param {string} value */
function canonicalString(value) {
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
    throw new WireError("half a character (lone surrogate)");
  }
  return JSON.stringify(value);
}

/**
 * Parses text that must be the canonical form of what it says.
 * @template T
 * @param {string} text
 * @returns {T}
 */
export function parseCanonical(text) {
  const value = parse(text);
  if (canonical(value) !== text) throw new WireError("not in canonical form (RFC 8785)");
  return value;
}

/**
 * @param {string} text
 * @returns {any} whatever JSON can hold; callers name the type
 */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError("not JSON");
  }
}

/** @param {string} text @returns {Bytes} */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** @param {Uint8Array} data @returns {string} */
export function text(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new WireError("not text (UTF-8)");
  }
}

/** @param {...Uint8Array} parts @returns {Bytes} */
export function join(...parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    joined.set(part, position);
    position += part.length;
  }
  return joined;
}

/** @param {Uint8Array} data @returns {string} base64url without padding */
export function b64u(data) {
  let binary = "";
  for (let i = 0; i < data.length; i += 0x8000) {
    binary += String.fromCharCode(...data.subarray(i, i + 0x8000));
  }
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} encoded @returns {Bytes} */
export function unb64u(encoded) {
  if (!/^[A-Za-z0-9_-]*$/.test(encoded) || encoded.length % 4 === 1) {
    throw new WireError("not base64url");
  }
  const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  const data = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  if (b64u(data) !== encoded) throw new WireError("not base64url in canonical form");
  return data;
}

/** @param {Uint8Array} data @returns {string} lower-case hexadecimal */
export function hex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} digits @returns {Bytes} */
export function unhex(digits) {
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new WireError("not lower-case hexadecimal");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** @param {Uint8Array} data @returns {Promise<Bytes>} */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {Bytes} */ (data)));
}

/** @param {Uint8Array} data @returns {Promise<string>} */
export async function sha256Hex(data) {
  return hex(await sha256(data));
}

/** Returns a fresh random id: 130 bits, base32 in lower case. */
export function newId() {
  return base32(crypto.getRandomValues(new Uint8Array(17))).slice(0, 26);
}

/**
 * Returns the id that belongs to a doorbell's identity key.
 * @param {Uint8Array} identitySpki SubjectPublicKeyInfo, DER
 */
export async function deviceIdOf(identitySpki) {
  return base32(await sha256(identitySpki)).slice(0, 20);
}

/** @param {Uint8Array} data @returns {string} base32 in lower case, without padding */
export function base32(data) {
  let bits = 0;
  let held = 0;
  let encoded = "";
  for (const byte of data) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      encoded += ID_ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  if (bits > 0) encoded += ID_ALPHABET[(held << (5 - bits)) & 31];
  return encoded;
}
