/**
 * Notifications of push messages: shown at once, the picture added when it is there.
 *
 * A message is encrypted by the doorbell, but whoever carries it can keep it back or send it
 * twice: so each event is shown once, with its own time, and what is late comes without a sound.
 * @module
 */
import { ApiError, Unreachable } from "../api.js";
import { currentLocale, t, timeText } from "../i18n.js";
import { pause } from "../pause.js";
import { fetchPicture } from "../picture.js";
import { readKey, writeKey } from "../vendor/browser/key_store.js";
import { b64u } from "../vendor/protocol/encoding.js";
import { browserOf, readWorkerStore, relayOf } from "../worker_store.js";
import { parsePushText } from "./push_text.js";
import { speakAs } from "./language.js";

/** @typedef {import("./push_text.js").PushText} PushText */
/** @typedef {import("./scope.js").RingOptions} RingOptions */
/** @typedef {import("../worker_store.js").Book} Book */
/** @typedef {import("../worker_store.js").KnownDoorbell} KnownDoorbell */
/** @typedef {{device: string, event_id: string, kind: PushText["kind"], time_ms: number | null}} RingData what a notification carries */

const SHOWN = "worker:shown";
const MOST_REMEMBERED = 200;
/** A ring that arrives later is no news, as the doorbell has it too. */
const LATE_MS = 10 * 60_000;
/** Older than that is nobody's delay. */
const TOO_OLD_MS = 24 * 3600_000;
/** The picture comes a moment after the event; a slow line may take longer. */
const PICTURE_AFTER_MS = [300, 500, 700, 1000, 1500, 2000, 3000, 5000, 8000];

export class Rings {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
    /** @type {Promise<unknown>} one look at what was shown at a time */
    this.turn = Promise.resolve();
  }

  /** @param {string} text */
  async onPush(text) {
    const book = await readWorkerStore();
    if (book === undefined) return; // signed out: nobody is told
    const said = parsePushText(text);
    const doorbell = book.doorbells.find(({ device }) => device === said.device);
    if (doorbell === undefined) return console.warn("a push of a doorbell that isn't known here");
    const lateMs = said.time_ms === null ? 0 : Date.now() - said.time_ms;
    if (lateMs > TOO_OLD_MS || !(await this.#isNew(said.event_id))) return;
    await speakAs(book);
    const options = optionsOf(said, doorbell, { isLate: lateMs > LATE_MS });
    await this.registration.showNotification(titleOf(said), options);
    await this.#addPicture(book, said, doorbell, options);
  }

  /** @param {Book} book @param {PushText} said @param {KnownDoorbell} doorbell @param {RingOptions} options */
  async #addPicture(book, said, doorbell, options) {
    const jpeg = await picture(book, said, doorbell);
    const [shown] = await this.registration.getNotifications({ tag: said.event_id });
    if (jpeg === null || shown?.title !== titleOf(said)) return; // it was closed, or answered
    const image = `data:image/jpeg;base64,${base64(jpeg)}`;
    const { vibrate, ...others } = options;
    /** @type {RingOptions} */
    const quietly = { ...others, image, silent: true };
    await this.registration.showNotification(titleOf(said), quietly);
  }

  /** Remembers an event; false if it was shown already. @param {string} eventId @returns {Promise<boolean>} */
  #isNew(eventId) {
    const looked = this.turn.then(async () => {
      /** @type {string[]} */
      const shown = (await readKey(SHOWN)) ?? [];
      if (shown.includes(eventId)) return false;
      await writeKey(SHOWN, [...shown, eventId].slice(-MOST_REMEMBERED));
      return true;
    });
    this.turn = looked.catch(() => {}); // whoever asked is told
    return looked;
  }
}

/** @param {PushText} said */
function titleOf({ kind }) {
  return t(`push.${kind}.title`);
}

/**
 * @param {PushText} said @param {KnownDoorbell} doorbell @param {{isLate: boolean}} how
 * @returns {RingOptions}
 */
function optionsOf({ device, event_id, kind, time_ms, detail }, { name }, { isLate }) {
  const when = time_ms === null ? t("push.time_unknown") : timeText(time_ms, isToday(time_ms) ? "clock" : "moment");
  const line = t("push.body", { door: name, time: when });
  const isRing = kind === "pressed" && !isLate;
  const see = { action: "see", title: t("push.see") };
  const reply = { action: "reply", title: t("push.reply") };
  return {
    tag: event_id,
    body: [line, detail, isLate && t("push.late")].filter(Boolean).join("\n"),
    lang: currentLocale(),
    icon: "./vendor/icons/icon-192.png",
    badge: "./vendor/icons/badge-96.png",
    data: /** @type {RingData} */ ({ device, event_id, kind, time_ms }),
    requireInteraction: isRing,
    actions: isRing ? [see, reply] : [see],
    ...(time_ms === null ? {} : { timestamp: time_ms }),
    ...(isLate ? { silent: true } : { vibrate: isRing ? [300, 150, 300] : [150] }),
  };
}

/** @param {Book} book @param {PushText} said @param {KnownDoorbell} doorbell */
async function picture(book, { device, event_id }, { identity_key }) {
  const [relay, browser] = [relayOf(book), await browserOf(book)];
  const of = { device, eventId: event_id, identityKey: identity_key };
  for (const waitMs of PICTURE_AFTER_MS) {
    await pause(waitMs);
    try {
      return (await fetchPicture(relay, browser, of)).jpeg;
    } catch (error) {
      const mayCome = error instanceof Unreachable || (error instanceof ApiError && error.status !== 401);
      if (!mayCome) {
        console.warn("a picture can't be shown", error);
        return null;
      }
    }
  }
  return null;
}

/** @param {number} ms */
function isToday(ms) {
  return new Date(ms).toDateString() === new Date().toDateString();
}

/** As a `data:` URL wants it. @param {Uint8Array} data */
function base64(data) {
  return b64u(data).replaceAll("-", "+").replaceAll("_", "/");
}
