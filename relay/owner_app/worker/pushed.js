/**
 * The intake of push messages: parsed, of a doorbell that is known here, each shown once.
 * @module
 */
import { readPush } from "../worker_store.js";
import { storeOf, storeOfPush } from "./stores.js";
import { FeedNotices } from "./feed_notices.js";
import { speakAs } from "./language.js";
import { isNew, isNewest } from "./message_memory.js";
import { Notices } from "./notices.js";
import { parsePushText } from "./push_text.js";
import { isQuietAt } from "./quiet.js";
import { Rings } from "./rings.js";

/** @typedef {import("./push_text.js").PushText} PushText */
/** @typedef {import("../worker_store.js").Book} Book */
/** @typedef {import("../worker_store.js").KnownDoorbell} KnownDoorbell */

/** Older than that is nobody's delay. */
const TOO_OLD_MS = 24 * 3600_000;

export class Pushed {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
    this.rings = new Rings(registration);
    this.feed = new FeedNotices(registration);
  }

  /** @param {string} text a doorbell's message; empty where the relay wakes this browser for its neighbours */
  async take(text) {
    if (text === "") {
      const woken = await storeOfPush();
      if (woken === undefined) return; // signed out: nobody is told
      await speakAs(woken);
      return this.feed.show(woken);
    }
    const said = parsePushText(text);
    const book = await storeOf(said.device);
    const doorbell = book?.doorbells.find(({ device }) => device === said.device);
    if (book === undefined || doorbell === undefined) return console.warn("a push of a doorbell that isn't known here");
    const isOld = said.body.type !== "silent" && said.time_ms !== null && Date.now() - said.time_ms > TOO_OLD_MS;
    if (isOld || !(await isNew(`${said.body.type}:${said.id}`))) return;
    if (said.body.type !== "silent") await this.#endSilence(said);
    await speakAs(book);
    await this.#show(book, said, doorbell);
  }

  /** @param {Book} book @param {PushText} said @param {KnownDoorbell} doorbell */
  async #show(book, said, doorbell) {
    const { body } = said;
    const notices = new Notices(this.registration, book.relay_url);
    if (body.type === "ring_over") return this.rings.end(book, { ...said, body }, doorbell);
    if (body.type === "summary") return notices.summary({ ...said, body }, doorbell);
    if (body.type === "emergency") return notices.emergency({ ...said, body });
    const isQuiet = async () => isQuietAt((await readPush(book.relay_url))?.quiet, Date.now());
    if (body.type === "silent") return notices.silent({ ...said, body }, doorbell, await isQuiet());
    if (body.type === "back") return notices.back({ ...said, body }, doorbell, await isQuiet());
    return this.rings.show(book, { ...said, body }, doorbell);
  }

  /** A word of the doorbell: it isn't silent. @param {PushText} said */
  async #endSilence({ device, time_ms }) {
    if (time_ms === null || !(await isNewest(device, time_ms))) return;
    const shown = await this.registration.getNotifications({ tag: `silent-${device}` });
    for (const one of shown) one.close();
  }
}
