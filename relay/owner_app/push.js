/**
 * Web Push for this browser: the relay gets only the endpoint, each doorbell only the encryption
 * keys. For pages and for the service worker.
 * @module
 */
import { NoOwnWord, sendOrder } from "./orders.js";
import { b64u, unb64u } from "./vendor/protocol/encoding.js";
import { browserOf, forgetPush, readPush, relayOf, writePush } from "./worker_store.js";

/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {import("./vendor/protocol/documents.js").SetPush} SetPush */
/** @typedef {import("./worker_store.js").BrowserHere} BrowserHere */
/** @typedef {import("./worker_store.js").KnownDoorbell} KnownDoorbell */
/** @typedef {import("./worker_store.js").PushChoice} PushChoice */
/** @typedef {import("./worker_store.js").PushState} PushState */
/** @typedef {{relay: Relay, relayUrl: string, registration: ServiceWorkerRegistration, browser: BrowserHere, doorbells: KnownDoorbell[]}} PushParties */
/** @typedef {{doorbell: KnownDoorbell, error: unknown}} Missed a doorbell that couldn't be told */

/** This browser gave a subscription without what a doorbell needs to encrypt for it. */
export class NoPushKeys extends Error {}

/**
 * Turns notifications on, or changes what is told. The browser's permission must be there. They end
 * at another relay: a browser has one subscription, which is for one relay's key.
 * If no doorbell takes it, nothing is on, and the first one's reason is thrown.
 * @param {PushParties} parties @param {PushChoice} choice
 * @returns {Promise<Missed[]>} doorbells that will be told later
 */
export async function turnOn(parties, choice) {
  const before = await readPush(parties.relayUrl);
  if (parties.doorbells.length > 0 && !parties.doorbells.some(isSure)) throw new NoOwnWord("no doorbell's own key is known");
  const subscription = await subscribe(parties, hasStale(parties, before));
  const { told, missed } = await tellDoorbells(parties, parties.doorbells, subscription, choice);
  if (Object.keys(told).length === 0 && missed.length > 0) {
    if (before === undefined) await subscription.unsubscribe();
    throw missed[0].error;
  }
  await tellRelay(parties, subscription);
  await writePush(parties.relayUrl, { ...choice, endpoint: subscription.endpoint, told, snoozed: before?.snoozed ?? {} });
  return missed;
}

/** Turns them off; the relay and the push service forget this browser, and the doorbells too. @param {PushParties} parties */
export async function turnOff({ relay, relayUrl, registration, browser, doorbells }) {
  await forgetPush(relayUrl);
  const subscription = await registration.pushManager.getSubscription();
  const ending = doorbells.map((doorbell) => sendOrder(relay, browser, doorbell, { type: "end_push" }));
  const done = await Promise.allSettled([
    subscription?.unsubscribe(),
    relay.delete(`push/${browser.id}`),
    ...ending,
  ]);
  // Whoever wasn't reached encrypts for nobody: the push service doesn't know the address any more.
  for (const one of done) if (one.status === "rejected") console.warn("end of push", one.reason);
}

/**
 * Mends what has come apart since: a doorbell that was offline or is new, an address that the
 * browser or the relay's key changed.
 * @param {PushParties} parties
 */
export async function keepUp(parties) {
  const state = await readPush(parties.relayUrl);
  if (state === undefined) return;
  const isStale = hasStale(parties, state);
  const subscription = await subscribe(parties, isStale);
  const isSame = !isStale && subscription.endpoint === state.endpoint;
  const waiting = parties.doorbells.filter((one) => isSure(one) && (!isSame || state.told[one.device] === undefined));
  if (isSame && waiting.length === 0 && state.relay_url !== undefined) return;
  if (!isSame) await tellRelay(parties, subscription);
  const { told } = await tellDoorbells(parties, waiting, subscription, state);
  const known = isSame ? state.told : {};
  await writePush(parties.relayUrl, { ...state, endpoint: subscription.endpoint, told: { ...known, ...told } });
}

/**
 * Pauses rings and motion at this browser for some minutes, 0 ends that: a duration, since this
 * clock may be wrong. Resolves with the doorbells that weren't reached.
 * @param {PushParties} parties @param {number} minutes @returns {Promise<Missed[]>}
 */
export async function snooze({ relay, relayUrl, browser, doorbells }, minutes) {
  /** @type {Record<string, number>} */
  const until = {};
  /** @type {Missed[]} */
  const missed = [];
  const done = await Promise.allSettled(doorbells.map((one) => sendOrder(relay, browser, one, { type: "snooze_push", minutes })));
  done.forEach((one, i) => {
    if (one.status === "rejected") missed.push({ doorbell: doorbells[i], error: one.reason });
    else until[doorbells[i].device] = minutes === 0 ? 0 : Date.now() + minutes * 60_000;
  });
  if (missed.length > 0 && missed.length === doorbells.length) throw missed[0].error;
  const state = await readPush(relayUrl);
  if (state !== undefined) await writePush(relayUrl, { ...state, snoozed: { ...state.snoozed, ...until } });
  return missed;
}

/**
 * In the worker: the push service wants another subscription.
 * @param {ServiceWorkerRegistration} registration @param {import("./worker_store.js").Book | undefined} book of the relay where they are on
 */
export async function renewSubscription(registration, book) {
  if (book === undefined) return;
  const browser = await browserOf(book);
  await keepUp({ relay: relayOf(book), relayUrl: book.relay_url, registration, browser, doorbells: book.doorbells });
}

/** @param {KnownDoorbell} doorbell */
function isSure({ is_own_word }) {
  return is_own_word;
}

/**
 * Tells whether the subscription's secret was sealed to another key than a doorbell's own: whoever
 * has that one could write messages, so it is of no use any more.
 * @param {PushParties} parties @param {PushState | undefined} state
 */
function hasStale({ doorbells }, state) {
  return doorbells.some((one) => {
    const sealedTo = state?.told[one.device];
    return isSure(one) && sealedTo !== undefined && sealedTo !== one.sealing_key;
  });
}

/** @param {PushParties} parties @param {boolean} isAnew the one that there is counts no more */
async function subscribe({ relay, registration: { pushManager } }, isAnew) {
  const { public_key } = await relay.get("push");
  const applicationServerKey = unb64u(public_key);
  const known = await pushManager.getSubscription();
  const isForKey = known !== null && !isAnew && isSameKey(known.options.applicationServerKey, public_key);
  if (isForKey) return known;
  await known?.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
}

/** @param {ArrayBuffer | null} key @param {string} wanted */
function isSameKey(key, wanted) {
  return key !== null && b64u(new Uint8Array(key)) === wanted;
}

/** @param {PushParties} parties @param {PushSubscription} subscription */
async function tellRelay({ relay, browser }, { endpoint, expirationTime }) {
  const expires = expirationTime === null ? {} : { expires_ms: Math.round(expirationTime) };
  await relay.put(`push/${browser.id}`, { endpoint, ...expires });
}

/**
 * @param {PushParties} parties @param {KnownDoorbell[]} doorbells
 * @param {PushSubscription} subscription @param {PushChoice} choice
 */
async function tellDoorbells({ relay, browser }, doorbells, subscription, choice) {
  const order = setPush(subscription, choice);
  const done = await Promise.allSettled(doorbells.map((one) => sendOrder(relay, browser, one, order)));
  /** @type {PushState["told"]} */
  const told = {};
  /** @type {Missed[]} */
  const missed = [];
  done.forEach((one, i) => {
    if (one.status === "fulfilled") told[doorbells[i].device] = doorbells[i].sealing_key;
    else missed.push({ doorbell: doorbells[i], error: one.reason });
  });
  return { told, missed };
}

/** @param {PushSubscription} subscription @param {PushChoice} choice @returns {SetPush} */
function setPush(subscription, { kinds, quiet, summary, silent_after_minutes }) {
  const [p256dh, auth] = [subscription.getKey("p256dh"), subscription.getKey("auth")];
  if (p256dh === null || auth === null) throw new NoPushKeys("a subscription without keys");
  const keys = { p256dh: b64u(new Uint8Array(p256dh)), auth: b64u(new Uint8Array(auth)) };
  return { type: "set_push", ...keys, kinds, quiet, summary, silent_after_minutes };
}
