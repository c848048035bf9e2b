/**
 * Notifications of what neighbours tell. The relay's message is empty, as it can't encrypt for a
 * browser: it only wakes the worker, which fetches the district's posts, the same for everybody, and
 * shows those of what is followed here.
 * @module
 */
import { Feed } from "../feed.js";
import { readFeedChoice } from "../feed_choice.js";
import { groupOf } from "../feed_topics.js";
import { currentLocale, t } from "../i18n.js";
import { relayOf } from "../worker_store.js";
import { isNew } from "./message_memory.js";

/** @typedef {import("../feed.js").Post} Post */

const ICONS = { icon: "./vendor/icons/icon-192.png", badge: "./vendor/icons/badge-96.png" };
const MAX_BODY_CHARS = 140;
/** An older one is in the list for whoever looks. */
const TOO_OLD_MS = 8 * 24 * 3600_000;

export class FeedNotices {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
  }

  /** Shows what is new of what is followed; nothing if nothing is. @param {import("../worker_store.js").Book} book */
  async show(book) {
    const relay = relayOf(book);
    const followed = await readFeedChoice(relay.base);
    if (followed === undefined || followed.credential_id !== book.credential_id) return;
    const feed = new Feed(relay);
    await this.#showLegal(feed, book.relay_url);
    const { posts } = await feed.posts(followed.district);
    const wanted = posts.filter(({ kind, published_ms }) => followed.groups.includes(groupOf(kind)) && published_ms >= followed.since_ms && Date.now() - published_ms < TOO_OLD_MS);
    /** @type {Post[]} */
    const fresh = [];
    for (const post of wanted) if (await isNew(`feed:${post.id}`)) fresh.push(post);
    if (fresh.length === 0) return;
    const [first] = fresh;
    const title = fresh.length === 1 ? t(`neighbours.told.${first.kind}`, { district: followed.name }) : t("neighbours.told.several", { count: fresh.length, district: followed.name });
    const body = fresh.length === 1 ? shortened(first.text) : t("neighbours.told.newest", { text: shortened(first.text) });
    await this.registration.showNotification(title, {
      tag: "neighbours",
      body,
      lang: currentLocale(),
      ...ICONS,
      data: { hash: "#/neighbours", relay: book.relay_url },
    });
  }

  /** Shows that there was legal process about own posts. What can't be fetched is on the page. @param {Feed} feed @param {string} relay */
  async #showLegal(feed, relay) {
    try {
      for (const { id, told_ms } of (await feed.mine()).notices) {
        if (Date.now() - told_ms >= TOO_OLD_MS || !(await isNew(`feed-legal:${id}`))) continue;
        await this.registration.showNotification(t("neighbours.legal.push"), { tag: "neighbours-legal", body: t("neighbours.legal.push.body"), lang: currentLocale(), ...ICONS, data: { hash: "#/neighbours/mine", relay } });
      }
    } catch (error) {
      console.warn("legal notices", error);
    }
  }
}

/** @param {string} text */
function shortened(text) {
  const [line] = text.split("\n");
  const chars = [...line];
  return chars.length > MAX_BODY_CHARS ? `${chars.slice(0, MAX_BODY_CHARS - 1).join("").trimEnd()}…` : line;
}
