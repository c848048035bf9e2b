/**
 * The service worker's data in the browser's key store: the relay's address and token, the
 * doorbells with their trusted keys, the language, and the notification settings.
 *
 * Pages write it, from what they check themselves; the worker reads it. Signing out forgets it.
 * No private key is here: the worker uses the browser's own, which can't be read out.
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
/** @typedef {PushChoice & {endpoint: string, told: Record<string, string>, snoozed: Record<string, number>}} PushState `told`: the doorbells that know it, for this endpoint, with the key that it was sealed to; `snoozed`: until when by this clock, a doorbell */
/** @typedef {{id: string, pairs: BrowserPairs}} BrowserHere */

const BOOK = "worker:book";
const PUSH = "worker:push";

/** @returns {Promise<Book | undefined>} */
export function readWorkerStore() {
  return readKey(BOOK);
}

/** @param {Book} book */
export function writeWorkerStore(book) {
  return writeKey(BOOK, book);
}

/** @returns {Promise<PushState | undefined>} nothing while notifications are off */
export function readPush() {
  return readKey(PUSH);
}

/** @param {PushState} state */
export function writePush(state) {
  return writeKey(PUSH, state);
}

export function forgetPush() {
  return deleteKey(PUSH);
}

export async function forgetWorkerStore() {
  await deleteKey(BOOK);
  await deleteKey(PUSH);
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
