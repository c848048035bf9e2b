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
/** @typedef {{code: string, tried_ms: number, from_ms: number | null, refused?: string}} CreditCode when it was tried last, from when on it counts, and why the relay refused it */

const ACCOUNT = "doorward.account";
const ENDED_SESSION = "doorward.ended-session";

/** @param {string} kind @param {string} id */
const remembered = (kind, id) => `doorward.${kind}.${id}`;

/** @returns {Account | null} */
export function loadAccount() {
  return readJson(ACCOUNT);
}

/** @param {Account} account */
export function saveAccount(account) {
  localStorage.setItem(ACCOUNT, JSON.stringify(account));
  localStorage.removeItem(ENDED_SESSION);
}

export function forgetAccount() {
  localStorage.removeItem(ACCOUNT);
}

/** @param {EndedSession} ended one that wasn't ended here; said at the sign-in page until somebody signs in */
export function rememberEndedSession(ended) {
  localStorage.setItem(ENDED_SESSION, JSON.stringify(ended));
}

/** @returns {EndedSession | null} */
export function endedSession() {
  return readJson(ENDED_SESSION);
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

/**
 * @param {string} device @param {string} requestDigest
 * @param {DecisionKind} kind @param {Sent | null} sent null: it is forgotten
 */
export function rememberDecision(device, requestDigest, kind, sent) {
  const { [kind]: _, ...others } = decisionsOn(device, requestDigest);
  const now = sent === null ? others : { ...others, [kind]: sent };
  localStorage.setItem(remembered("decisions", `${device}.${requestDigest}`), JSON.stringify(now));
}

/** @typedef {{name: string, credential_id: string, added_ms?: number, words?: string[]}} Approver `added_ms`: in this browser; `words`: by the doorbell's own word */

/** The keys for confirming that this browser knows of: added here, or named by the doorbell when it was asked last. @param {string} device @returns {Approver[]} */
export function approversAdded(device) {
  return readJson(remembered("approvers", device)) ?? [];
}

/** @param {string} device @param {Approver[]} approvers */
export function rememberApprovers(device, approvers) {
  localStorage.setItem(remembered("approvers", device), JSON.stringify(approvers));
}

/** The public keys of a guest who was let in from this browser: with them they can be given more time. @param {string} device @param {string} browser @returns {BrowserKeys | null} */
export function guestKeys(device, browser) {
  return readJson(remembered("guest-keys", `${device}.${browser}`));
}

/** @param {string} device @param {string} browser @param {BrowserKeys} keys */
export function rememberGuestKeys(device, browser, keys) {
  localStorage.setItem(remembered("guest-keys", `${device}.${browser}`), JSON.stringify(keys));
}

/** @typedef {{by_name: string, until_ms: number}} GuestTime by whom this account is or was a guest at a doorbell, and until when */

/** The doorbells at which this account was seen as a guest here, by their ids. @param {Owner} owner @returns {Record<string, GuestTime>} */
export function guestTimes(owner) {
  return readJson(remembered("guest-times", owner.credential_id)) ?? {};
}

/** @param {Owner} owner @param {string} device @param {GuestTime} time */
export function rememberGuestTime(owner, device, time) {
  localStorage.setItem(remembered("guest-times", owner.credential_id), JSON.stringify({ ...guestTimes(owner), [device]: time }));
}

/** Two wrong words in a day are a reason to look at the doorbell's own page before anything else. */
const MAX_WRONG_TAPS = 2;
const DAY_MS = 24 * 3600 * 1000;

/** Whether this account tapped so many wrong words at pairing within a day that the app stops. @param {Owner} owner */
export function hasTooManyWrongTaps(owner) {
  return wrongTaps(owner).length >= MAX_WRONG_TAPS;
}

/** @param {Owner} owner */
export function addWrongTap(owner) {
  const times = [...wrongTaps(owner), Date.now()];
  localStorage.setItem(remembered("wrong-taps", owner.credential_id), JSON.stringify(times));
}

/** @param {Owner} owner @returns {number[]} */
function wrongTaps(owner) {
  /** @type {number[]} */
  const times = readJson(remembered("wrong-taps", owner.credential_id)) ?? [];
  return times.filter((at_ms) => Math.abs(Date.now() - at_ms) < DAY_MS);
}

/** Tells whether this is the first time that something is told here, and remembers it. @param {string} id */
export function isFirstTime(id) {
  if (localStorage.getItem(remembered("told", id)) !== null) return false;
  localStorage.setItem(remembered("told", id), "1");
  return true;
}

/** A partner's code that waits to be handed in. @param {Owner} owner @returns {CreditCode | null} */
export function creditCode(owner) {
  return readJson(remembered("credit-code", owner.credential_id));
}

/** @param {Owner} owner @param {CreditCode | null} kept null: it is forgotten */
export function rememberCreditCode(owner, kept) {
  const key = remembered("credit-code", owner.credential_id);
  if (kept === null) localStorage.removeItem(key);
  else localStorage.setItem(key, JSON.stringify(kept));
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
