/**
 * The service worker's data in the browser's key store: of each relay its address and token, the
 * doorbells with their trusted keys, and the language; and the notification settings. A browser
 * has one subscription, so notifications are on at one relay.
 *
 * Pages write it, from what they check themselves; the worker reads it. Signing out forgets it.
 * The browser's private keys, which the worker uses, can't be read out.
 * @module
 */
import { Relay } from "./api.js";
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";
import { browserIdOf, browserKeysOf } from "./vendor/protocol/browsers.js";

/** @typedef {import("./vendor/protocol/documents.js").QuietHours} QuietHours */
/** @typedef {import("./vendor/protocol/browsers.js").BrowserPairs} BrowserPairs */
/** @typedef {{device: string, name: string, identity_key: string, sealing_key: string, is_own_word: boolean}} KnownDoorbell `is_own_word`: the key to seal to is not just the relay's word */
/** @typedef {{relay_url: string, token: string, credential_id: string, doorbells: KnownDoorbell[], language: string, locale: string}} Book */
/** @typedef {import("./vendor/protocol/documents.js").PushKind[]} Kinds */
/** @typedef {{kinds: Kinds, quiet: QuietHours | null, summary: import("./vendor/protocol/documents.js").DailyTime | null, silent_after_minutes: number | null}} PushChoice */
/** @typedef {PushChoice & {endpoint: string, told: Record<string, string>, snoozed: Record<string, number>, relay_url?: string}} PushState `told`: the doorbells that know it, for this endpoint, with the key that it was sealed to; `snoozed`: until when by this clock, a doorbell; `relay_url`: where they are on, written here */
/** @typedef {{id: string, pairs: BrowserPairs}} BrowserHere */

const BOOKS = "worker:books";
/** The book of an earlier version, which had one. */
const BOOK = "worker:book";
const PUSH = "worker:push";

/** @returns {Promise<Record<string, Book>>} by their relays */
export async function readWorkerStores() {
  const before = await readKey(BOOK);
  return (await readKey(BOOKS)) ?? (before ? { [before.relay_url]: before } : {});
}

/** @param {Book} book */
export function writeWorkerStore(book) {
  return changeStores((books) => (books[book.relay_url] = book));
}

/** What is on at this relay, or was before it was noted where. @param {string} relay @returns {Promise<PushState | undefined>} nothing while notifications are off */
export async function readPush(relay) {
  const state = await readAnyPush();
  return (state?.relay_url ?? relay) === relay ? state : undefined;
}

/** @returns {Promise<PushState | undefined>} */
export function readAnyPush() {
  return readKey(PUSH);
}

/** They are on here from now on, and nowhere else. @param {string} relay @param {PushState} state */
export function writePush(relay, state) {
  return writeKey(PUSH, { ...state, relay_url: relay });
}

/** @param {string} relay */
export async function forgetPush(relay) {
  if (await readPush(relay)) await deleteKey(PUSH);
}

/** @param {string} relay what is of another one stays */
export async function forgetWorkerStore(relay) {
  await changeStores((books) => delete books[relay]);
  await forgetPush(relay);
}

/** @param {(books: Record<string, Book>) => void} change */
function changeStores(change) {
  return navigator.locks.request(BOOKS, async () => {
    const books = await readWorkerStores();
    change(books);
    await (Object.keys(books).length ? writeKey(BOOKS, books) : deleteKey(BOOKS));
    await deleteKey(BOOK);
  });
}

/** @param {Book} book */
export function relayOf({ relay_url, token }) {
  const relay = new Relay(relay_url);
  relay.token = token;
  return relay;
}

/** @param {Book} book @returns {Promise<BrowserHere>} */
export async function browserOf({ credential_id }) {
  /** @type {BrowserPairs | undefined} */
  const pairs = await readKey(`browser:${credential_id}`);
  if (pairs === undefined) throw new Error("this browser has no keys yet; open the app once");
  return { id: await browserIdOf(await browserKeysOf("-", pairs)), pairs };
}
