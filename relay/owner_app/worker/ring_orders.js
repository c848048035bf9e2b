/**
 * Orders from a ring's notification itself: the owner's default quick reply, and a pause.
 * @module
 */
import { ApiError } from "../api.js";
import { hasText, t, timeText } from "../i18n.js";
import { sendOrder } from "../orders.js";
import { browserOf, readPush, relayOf, writePush } from "../worker_store.js";
import { storeOf } from "./stores.js";
import { speakAs } from "./language.js";
import { offered } from "./rings.js";

/** @typedef {import("./rings.js").RingData} RingData */
/** @typedef {import("../worker_store.js").Book} Book */

const SNOOZE_MINUTES = 60;

export class RingOrders {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
  }

  /** Does it, and says in the notification what came of it. @param {Notification} notification @param {"reply" | "snooze"} what */
  async give(notification, what) {
    const book = await storeOf(notification.data.device);
    if (book === undefined) return notification.close();
    await speakAs(book);
    await this.#say(notification, t(what === "reply" ? "push.replying" : "push.snoozing"));
    await this.#say(notification, await (what === "reply" ? replied : snoozed)(book, notification.data));
  }

  /** @param {Notification & {image?: string}} notification @param {string} words */
  #say({ tag, data, body, icon, image }, words) {
    const options = /** @type {import("./scope.js").RingOptions} */ ({
      tag,
      body: body.split("\n")[0],
      icon,
      badge: "./vendor/icons/badge-96.png",
      data: { ...data, is_over: true },
      silent: true,
      actions: offered([{ action: "see", title: t("push.see") }]),
      ...(image ? { image } : {}),
    });
    return this.registration.showNotification(words, options);
  }
}

/** @param {Book} book @param {RingData} data @returns {Promise<string>} what came of it, in words */
function replied(book, { device, events }) {
  const event_id = /** @type {import("./rings.js").RingTime} */ (events.at(-1)).event_id;
  return ordered(book, device, { type: "play_reply", event_id, reply_id: null }, (code) => `push.reply_failed.${code}`, async () => t("push.replied"));
}

/** @param {Book} book @param {RingData} data @returns {Promise<string>} */
function snoozed(book, { device }) {
  return ordered(book, device, { type: "snooze_push", minutes: SNOOZE_MINUTES }, (code) => `push.snooze_failed.${code}`, async () => {
    const untilMs = Date.now() + SNOOZE_MINUTES * 60_000;
    const state = await readPush(book.relay_url);
    if (state !== undefined) await writePush(book.relay_url, { ...state, snoozed: { ...state.snoozed, [device]: untilMs } });
    return t("push.snoozed", { time: timeText(untilMs, "clock") });
  });
}

/**
 * @param {Book} book @param {string} device @param {import("../vendor/protocol/documents.js").OrderBody} order
 * @param {(code: string) => string} failed the key of the text if it fails so @param {() => Promise<string>} done
 */
async function ordered(book, device, order, failed, done) {
  const doorbell = book.doorbells.find((one) => one.device === device);
  if (doorbell === undefined) return t(failed("unknown"));
  try {
    await sendOrder(relayOf(book), await browserOf(book), doorbell, order);
    return await done();
  } catch (error) {
    console.warn("an order wasn't carried out", error);
    const known = error instanceof ApiError ? failed(error.code) : "";
    return hasText(known) ? t(known) : t(failed("unknown"));
  }
}
