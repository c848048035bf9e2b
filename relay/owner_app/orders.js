/**
 * A browser's orders to a doorbell without a live session: signed by its session key with a nonce
 * of the doorbell's, sealed to the doorbell. For pages and for the service worker.
 * @module
 */
import { ApiError } from "./api.js";
import { sealOrder, signLive } from "./vendor/protocol/live.js";

/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {import("./vendor/protocol/documents.js").OrderBody} OrderBody */
/** @typedef {import("./worker_store.js").BrowserHere} BrowserHere */
/** @typedef {import("./worker_store.js").KnownDoorbell} KnownDoorbell */

/** The doorbell's own key isn't known here: the relay could read what is told to it. */
export class NoOwnWord extends Error {}

/**
 * Resolves once the doorbell has carried it out; ApiError names its reason if it refuses.
 * What holds a secret goes to a key that is the doorbell's own word alone; else NoOwnWord.
 * @param {Relay} relay @param {BrowserHere} browser @param {KnownDoorbell} doorbell @param {OrderBody} body
 */
export async function sendOrder(relay, browser, doorbell, body) {
  if ((body.type === "set_push" || body.type === "set_preference") && !doorbell.is_own_word) throw new NoOwnWord("the doorbell's own key isn't known here");
  try {
    await sendOnce(relay, browser, doorbell, body);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "nonce")) throw error;
    await sendOnce(relay, browser, doorbell, body); // it was pushed out by others' before it came
  }
}

/** @param {Relay} relay @param {BrowserHere} browser @param {KnownDoorbell} doorbell @param {OrderBody} body */
async function sendOnce(relay, browser, { device, sealing_key }, body) {
  const { nonce } = await relay.post(`doorbells/${device}/nonce`);
  const signed = await signLive(
    { v: 1, domain: "doorward/browser-order/v1", device, nonce, browser: browser.id, body },
    browser.pairs.session.privateKey,
  );
  const sealed = await sealOrder(signed, sealing_key);
  await relay.post(`doorbells/${device}/orders`, { sealed });
}
