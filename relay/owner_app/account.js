/**
 * Who is signed in in this browser, and what this browser remembers for them.
 *
 * The browser's keys live in IndexedDB and can't be read out. A doorbell's keys are kept from the
 * pairing whose words the owner compared, so that the relay can't swap them later.
 * @module
 */
import { usualBrowserName } from "./browser_name.js";
import { keepKey, readKey } from "./vendor/browser/key_store.js";
import { browserIdOf, browserKeysOf, newBrowserPairs } from "./vendor/protocol/browsers.js";

/** @typedef {import("./vendor/protocol/documents.js").PasskeyKey} PasskeyKey */
/** @typedef {import("./vendor/protocol/documents.js").OwnerKeys} OwnerKeys */
/** @typedef {import("./vendor/protocol/documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("./vendor/protocol/browsers.js").BrowserPairs} BrowserPairs */
/** @typedef {PasskeyKey & {name: string}} Owner */
/** @typedef {{id: string, keys: BrowserKeys, pairs: BrowserPairs}} ThisBrowser */
/** @typedef {{identity_key: string, sealing_key: string}} DoorbellKeys */
/** @typedef {{digest: string, device: string, clip_ids: string[], signed_ms: number}} SentGrant */

const ACCOUNT = "doorward.account";

/** @param {string} kind @param {string} id */
const remembered = (kind, id) => `doorward.${kind}.${id}`;

/** @returns {{token: string, owner: Owner} | null} */
export function loadAccount() {
  return readJson(ACCOUNT);
}

/** @param {{token: string, owner: Owner}} account */
export function saveAccount(account) {
  localStorage.setItem(ACCOUNT, JSON.stringify(account));
}

export function forgetAccount() {
  localStorage.removeItem(ACCOUNT);
}

/**
 * Returns this browser as one of the owner's; makes its keys on first use.
 * @param {Owner} owner
 * @returns {Promise<ThisBrowser>}
 */
export async function thisBrowser(owner) {
  const stored = `browser:${owner.credential_id}`;
  /** @type {BrowserPairs} */
  const pairs = (await readKey(stored)) ?? (await keepKey(stored, await newPairs(owner)));
  const keys = await browserKeysOf(browserName(owner), pairs);
  return { id: await browserIdOf(keys), keys, pairs };
}

/**
 * Returns the owner's public keys, with those of this browser.
 * @param {Owner} owner
 * @returns {Promise<OwnerKeys>}
 */
export async function ownerKeys(owner) {
  const { name, credential_id, public_key, rp_id, origin } = owner;
  const passkey = { credential_id, public_key, rp_id, origin };
  return { name, passkey, browser: (await thisBrowser(owner)).keys };
}

/** What the owner calls this browser. @param {Owner} owner */
export function browserName(owner) {
  return readJson(remembered("browser-name", owner.credential_id)) ?? usualBrowserName();
}

/** @param {Owner} owner @param {string} name an empty one is forgotten */
export function rememberBrowserName(owner, name) {
  const key = remembered("browser-name", owner.credential_id);
  if (name) localStorage.setItem(key, JSON.stringify(name));
  else localStorage.removeItem(key);
}

/** @param {string} device @returns {DoorbellKeys | null} the keys whose words were compared */
export function comparedKeys(device) {
  return readJson(remembered("doorbell", device));
}

/** @param {string} device @param {DoorbellKeys} keys */
export function rememberKeys(device, keys) {
  localStorage.setItem(remembered("doorbell", device), JSON.stringify(keys));
}

/** @param {string} requestId @returns {SentGrant | "refused" | null} */
export function decisionOn(requestId) {
  return readJson(remembered("decision", requestId));
}

/** @param {string} requestId @param {SentGrant | "refused" | null} decision */
export function rememberDecision(requestId, decision) {
  localStorage.setItem(remembered("decision", requestId), JSON.stringify(decision));
}

/** A browser that had a key for notes before it had others keeps it. @param {Owner} owner */
async function newPairs(owner) {
  return newBrowserPairs(await readKey(`note-key:${owner.credential_id}`));
}

/** @param {string} key @returns {any} what was stored, or null; callers name the type */
function readJson(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
