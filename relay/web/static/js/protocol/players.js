/**
 * Codes that are pasted between another player's gateway (`doorward-view`) and this app, as in
 * firmware/protocol/players.py.
 * @module
 */
import { WireError, b64u, canonical, parseCanonical, text, unb64u, utf8 } from "./encoding.js";
import { isLine } from "./plain_text.js";
import { checkX25519 } from "./sealing.js";

/** @typedef {import("./documents.js").BrowserKeys} BrowserKeys */
/** @typedef {{v: 1, relay: string, device: string, identity_key: string, token: string}} PlayerSetup */

const CODE_PREFIX = "doorward-player:";
const SETUP_PREFIX = "doorward-setup:";
const MAX_TEXT_CHARS = 4096;
const KEYS_FIELDS = "name,session_key,viewing_key";

/**
 * Parses a player's code, or throws WireError.
 * @param {string} pasted people paste line breaks and blanks with it
 * @returns {BrowserKeys}
 */
export function parseCodeText(pasted) {
  const joined = pasted.replaceAll(/\s/g, "");
  if (joined.length > MAX_TEXT_CHARS || !joined.startsWith(CODE_PREFIX)) {
    throw new WireError(`a player's code begins with ${CODE_PREFIX}`);
  }
  const keys = /** @type {BrowserKeys} */ (parseCanonical(text(unb64u(joined.slice(CODE_PREFIX.length)))));
  const isObject = typeof keys === "object" && keys !== null && !Array.isArray(keys);
  if (!isObject || Object.keys(keys).join() !== KEYS_FIELDS) throw new WireError("not a player's code");
  const { name, session_key, viewing_key } = keys;
  if (![name, session_key, viewing_key].every((value) => typeof value === "string")) {
    throw new WireError("not a player's code");
  }
  if (!isLine(name)) throw new WireError("a player's name is one line");
  const point = unb64u(session_key);
  if (point.length !== 33 || (point[0] !== 2 && point[0] !== 3)) throw new WireError("not a session key");
  checkX25519(unb64u(viewing_key));
  return keys;
}

/** Returns the text that a player is set up with. @param {PlayerSetup} setup */
export function setupText(setup) {
  return SETUP_PREFIX + b64u(utf8(canonical(setup)));
}
