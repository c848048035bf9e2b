/**
 * The answer to a ring with the owner's default quick reply, from the notification itself.
 * @module
 */
import { ApiError } from "../api.js";
import { hasText, t } from "../i18n.js";
import { sendOrder } from "../orders.js";
import { browserOf, readWorkerStore, relayOf } from "../worker_store.js";
import { speakAs } from "./language.js";

/** @typedef {import("./rings.js").RingData} RingData */
/** @typedef {import("../worker_store.js").Book} Book */

export class Replies {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
  }

  /** Plays it, and says in the notification what came of it. @param {Notification} notification */
  async play(notification) {
    /** @type {RingData} */
    const data = notification.data;
    const book = await readWorkerStore();
    if (book === undefined) return notification.close();
    await speakAs(book);
    await this.#say(notification, t("push.replying"));
    await this.#say(notification, await replied(book, data));
  }

  /** @param {Notification & {image?: string}} notification @param {string} words */
  #say({ tag, data, body, icon, image }, words) {
    const options = /** @type {import("./scope.js").RingOptions} */ ({
      tag,
      body: body.split("\n")[0],
      icon,
      badge: "./vendor/icons/badge-96.png",
      data,
      silent: true,
      actions: [{ action: "see", title: t("push.see") }],
      ...(image ? { image } : {}),
    });
    return this.registration.showNotification(words, options);
  }
}

/** @param {Book} book @param {RingData} data @returns {Promise<string>} what came of it, in words */
async function replied(book, { device, event_id }) {
  const doorbell = book.doorbells.find((one) => one.device === device);
  if (doorbell === undefined) return t("push.reply_failed");
  try {
    const order = /** @type {const} */ ({ type: "play_reply", event_id, reply_id: null });
    await sendOrder(relayOf(book), await browserOf(book), doorbell, order);
    return t("push.replied");
  } catch (error) {
    console.warn("a quick reply wasn't played", error);
    const known = error instanceof ApiError ? `push.reply_failed.${error.code}` : "";
    return hasText(known) ? t(known) : t("push.reply_failed");
  }
}
