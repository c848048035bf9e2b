/**
 * The account that is signed in in this browser, and this browser's stored data for it.
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
/** @typedef {{digest: string, signed_ms: number}} Sent a statement that this browser sent */
/** @typedef {"grant" | "revoke" | "hold" | "decline" | "refuse"} DecisionKind */
/** @typedef {Partial<Record<DecisionKind, Sent>>} Decisions on one request at one door */

/** @typedef {{token: string, owner: Owner, ends_ms?: number}} Account `ends_ms`: by this browser's clock; not known of one from an earlier version */
/** @typedef {{why: "over" | "elsewhere", at_ms: number, name: string}} EndedSession one that nobody here ended: when this browser heard of it, and who was signed in */

const ACCOUNT = "doorward.account";
/** Where the account is that is signed in at the app's relay. */
let account = ACCOUNT;

const endedAt = () => account.replace("account", "ended-session");

/** @param {string} kind @param {string} id */
export const remembered = (kind, id) => `doorward.${kind}.${id}`;

/** From now on the account is that at this relay. @param {string} relay */
export function useAccountAt(relay) {
  account = storedAt(relay);
}

/** @param {string} relay */
export function isSignedInAt(relay) {
  return readJson(storedAt(relay)) !== null;
}

/** Whether somebody may be signed in, at any relay but this one. @param {string} [relay] */
export function mayBeSignedIn(relay = "") {
  return Object.keys(localStorage).some((key) => key.startsWith(ACCOUNT) && key !== storedAt(relay));
}

/** Where a relay's account is. @param {string} relay "" of all the beginning */
export const storedAt = (relay) => `${ACCOUNT}.${relay}`;

/** @returns {Account | null} */
export function loadAccount() {
  return readJson(account);
}

/** @param {Account} saved */
export function saveAccount(saved) {
  localStorage.setItem(account, JSON.stringify(saved));
  localStorage.removeItem(endedAt());
}

export function forgetAccount() {
  localStorage.removeItem(account);
}

/** @param {EndedSession} ended one that wasn't ended here; said at the sign-in page until somebody signs in */
export function rememberEndedSession(ended) {
  localStorage.setItem(endedAt(), JSON.stringify(ended));
}

/** @returns {EndedSession | null} */
export function endedSession() {
  return readJson(endedAt());
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

/**
 * What this browser sent about a request; the doorbell's notes say what became of it.
 * @param {string} device @param {string} requestDigest
 * @returns {Decisions}
 */
export function decisionsOn(device, requestDigest) {
  return readJson(remembered("decisions", `${device}.${requestDigest}`)) ?? {};
}

/** @typedef {{by_name: string, until_ms: number}} GuestTime by whom this account is or was a guest at a doorbell, and until when */

/** The doorbells at which this account was seen as a guest here, by their ids. @param {Owner} owner @returns {Record<string, GuestTime>} */
export function guestTimes(owner) {
  return readJson(remembered("guest-times", owner.credential_id)) ?? {};
}

/** Tells whether this is the first time that something is told here, and remembers it. @param {string} id */
export function isFirstTime(id) {
  if (localStorage.getItem(remembered("told", id)) !== null) return false;
  localStorage.setItem(remembered("told", id), "1");
  return true;
}

/** A browser that had a key for notes before it had others keeps it. @param {Owner} owner */
async function newPairs(owner) {
  return newBrowserPairs(await readKey(`note-key:${owner.credential_id}`));
}

/** @param {string} key @returns {any} what was stored, or null; callers name the type */
export function readJson(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}
