/**
 * Sign-out: deletes this browser's stored data, and ends its push subscription and its session.
 * @module
 */
import { Relay } from "./api.js";
import { workerStoreOf } from "./worker_registration.js";
import { forgetNotes } from "./note_store.js";
import { pause } from "./pause.js";
import * as snapshot from "./snapshot.js";
import { forgetWorkerStore, readPush } from "./worker_store.js";

const WAIT_MS = 20_000;

/**
 * Never fails; the app has gone on meanwhile.
 * @param {import("./worker_registration.js").WorkerRegistration} installed @param {import("./household.js").Household} household
 * @param {string} relayUrl @param {{isKnown: boolean}} how whether the relay still takes the token
 */
export async function leave(installed, household, relayUrl, { isKnown }) {
  const book = workerStoreOf(household, relayUrl);
  const relay = new Relay(relayUrl); // the app's own is somebody else's soon
  relay.token = book.token;
  try {
    const hasPush = (await readPush(relayUrl)) !== undefined;
    household.book.close();
    await Promise.all([forgetWorkerStore(relayUrl), snapshot.forget(book.credential_id, relay.base), forgetNotes(book.credential_id, relay.base)]);
    if (hasPush) await Promise.race([endPush(installed, household, book, relay, isKnown), pause(WAIT_MS)]);
    if (isKnown) await relay.delete("session");
    (await import("./feed_place.js")).forgetFeed(book.credential_id, relay.base);
  } catch (error) {
    console.warn("signing out", error);
  }
}

/**
 * @param {import("./worker_registration.js").WorkerRegistration} installed @param {import("./household.js").Household} household
 * @param {import("./worker_store.js").Book} book @param {Relay} relay @param {boolean} isKnown
 */
async function endPush(installed, household, book, relay, isKnown) {
  const parties = await installed.parties(household, book);
  if (parties === null) return;
  if (isKnown) {
    const { turnOff } = await import("./push.js");
    return turnOff({ ...parties, relay });
  }
  const subscription = await parties.registration.pushManager.getSubscription();
  await subscription?.unsubscribe();
}
