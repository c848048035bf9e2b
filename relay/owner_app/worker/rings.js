/**
 * Notifications of rings and motion: shown at once, the picture added when it is there, all rings
 * of one doorbell as one, and turned into a quiet line when the ring is over.
 *
 * A message is encrypted by the doorbell, but whoever carries it can keep it back or send it
 * twice: so each event is shown once, with its own time. A phone whose clock is an hour wrong rings
 * all the same, and says how far the two clocks are apart.
 * @module
 */
import { ApiError, Unreachable } from "../api.js";
import { currentLocale, t, timeText, tn } from "../i18n.js";
import { pause } from "../pause.js";
import { fetchPicture } from "../picture.js";
import { b64u } from "../vendor/protocol/encoding.js";
import { browserOf, relayOf } from "../worker_store.js";
import { CLOCK_ERROR_MS, styleOf } from "./times.js";

/** @typedef {import("./scope.js").RingOptions} RingOptions */
/** @typedef {import("./scope.js").NotificationAction} NotificationAction */
/** @typedef {import("../worker_store.js").Book} Book */
/** @typedef {import("../worker_store.js").KnownDoorbell} KnownDoorbell */
/** @typedef {import("./push_text.js").PushText<import("./push_text.js").RingBody | import("./push_text.js").MotionBody>} RingText */
/** @typedef {import("./push_text.js").PushText<import("./push_text.js").RingOverBody>} OverText */
/** @typedef {{event_id: string, time_ms: number | null}} RingTime */
/** @typedef {{device: string, kind: "pressed" | "motion", relay: string, events: RingTime[], is_over: boolean}} RingData what a notification carries, its newest event last */

/** A ring that arrives later is no news, as the doorbell has it too. */
const LATE_MS = 10 * 60_000;
/** So many events a notification remembers; more are counted as so many. */
const MOST_TOGETHER = 50;
/** The picture comes a moment after the event; a slow line may take longer. */
const PICTURE_AFTER_MS = [300, 500, 700, 1000, 1500, 2000, 3000, 5000, 8000];

export class Rings {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this.registration = registration;
  }

  /** @param {Book} book @param {RingText} said @param {KnownDoorbell} doorbell */
  async show(book, said, doorbell) {
    const tag = tagOf(said.device, said.body.type);
    const before = await this.#before(tag);
    if (before?.is_over && isOver(said, before)) return; // it was carried late, after its own end
    /** @type {RingData} */
    const data = {
      device: said.device,
      kind: said.body.type,
      relay: book.relay_url,
      events: [...(before === null || before.is_over ? [] : before.events), { event_id: said.id, time_ms: said.time_ms }].slice(-MOST_TOGETHER),
      is_over: false,
    };
    const options = optionsOf(said, doorbell, data);
    await this.registration.showNotification(titleOf(data), { tag, ...options });
    await this.#addPicture(book, said, doorbell, { tag, ...options });
  }

  /** Turns a ring into a line without a sound: who answered, or that nobody did. @param {Book} book @param {OverText} said @param {KnownDoorbell} doorbell */
  async end({ relay_url: relay }, said, { name }) {
    const { device, id, time_ms, body } = said;
    const tag = tagOf(device, "pressed");
    const before = await this.#before(tag);
    if (before !== null && !before.is_over && isOutdated(said, before)) return; // somebody rang again since
    const title = body.by === null ? t("push.over.missed") : t("push.over.answered", { name: body.by });
    /** @type {RingData} */
    const data = { device, kind: "pressed", relay, events: [{ event_id: id, time_ms }], is_over: true };
    await this.registration.showNotification(title, {
      tag,
      body: placeAndTime(name, time_ms),
      data,
      silent: true,
      requireInteraction: false,
      actions: offered([{ action: "see", title: t("push.see") }]),
      ...looks(time_ms),
    });
  }

  /** @param {string} tag @returns {Promise<RingData | null>} */
  async #before(tag) {
    const [shown] = await this.registration.getNotifications({ tag });
    return shown?.data ?? null;
  }

  /** @param {Book} book @param {RingText} said @param {KnownDoorbell} doorbell @param {RingOptions} options */
  async #addPicture(book, said, doorbell, options) {
    const jpeg = await picture(book, said, doorbell);
    const now = await this.#before(/** @type {string} */ (options.tag));
    const isStill = now !== null && !now.is_over && now.events.at(-1)?.event_id === said.id;
    const [shown] = await this.registration.getNotifications({ tag: options.tag });
    if (jpeg === null || !isStill || shown?.title !== titleOf(now)) return; // it was closed, answered or rang again
    const image = `data:image/jpeg;base64,${base64(jpeg)}`;
    const { vibrate, renotify, ...others } = options;
    /** @type {RingOptions} */
    const quietly = { ...others, image, silent: true };
    await this.registration.showNotification(titleOf(now), quietly);
  }
}

/** The tag of a doorbell's rings, or of its motion: there is one notification of each. @param {string} device @param {"pressed" | "motion"} kind */
export function tagOf(device, kind) {
  return `${kind}-${device}`;
}

/** As many buttons as this system has room for. @param {NotificationAction[]} actions the most useful first */
export function offered(actions) {
  const { maxActions = 0 } = /** @type {{maxActions?: number}} */ (Notification);
  return actions.slice(0, maxActions);
}

/** @param {RingData} data */
function titleOf({ kind, events }) {
  if (events.length === 1) return t(`push.${kind}.title`);
  return kind === "pressed" ? tn("push.pressed.titles", events.length) : tn("push.motion.titles", events.length);
}

/** @param {RingText} said @param {KnownDoorbell} doorbell @param {RingData} data @returns {RingOptions} */
function optionsOf({ time_ms, body }, { name }, data) {
  const apartMs = time_ms === null ? 0 : Date.now() - time_ms;
  const isLate = apartMs > CLOCK_ERROR_MS;
  const isRing = body.type === "pressed" && !isLate;
  const actions = isRing ? offered(ringActions()) : offered([{ action: "see", title: t("push.see") }, ...(isLate ? [] : [snooze()])]);
  const first = data.events[0].time_ms;
  const lines = [
    placeAndTime(name, time_ms),
    data.events.length > 1 && first !== null && t("push.first", { time: timeText(first, styleOf(first)) }),
    body.type === "motion" && body.zones,
    isLate ? t("push.late") : Math.abs(apartMs) > LATE_MS && t("push.apart", { minutes: Math.round(Math.abs(apartMs) / 60_000) }),
    isRing && !actions.some(({ action }) => action === "see") && t("push.tap"),
  ];
  const isFolded = body.type === "motion" && data.events.length > 1;
  return {
    body: lines.filter(Boolean).join("\n"),
    data,
    requireInteraction: isRing,
    actions,
    ...looks(time_ms),
    ...(isLate || isFolded ? { silent: true } : { renotify: true, vibrate: isRing ? [300, 150, 300] : [150] }),
  };
}

/** With room for two, *See* is what a tap does. @returns {NotificationAction[]} */
function ringActions() {
  const { maxActions = 0 } = /** @type {{maxActions?: number}} */ (Notification);
  const [see, reply] = [
    { action: "see", title: t("push.see") },
    { action: "reply", title: t("push.reply") },
  ];
  return maxActions > 2 ? [see, reply, snooze()] : [reply, snooze()];
}

/** @returns {NotificationAction} */
function snooze() {
  return { action: "snooze", title: t("push.snooze") };
}

/** @param {string} door @param {number | null} time_ms */
function placeAndTime(door, time_ms) {
  const time = time_ms === null ? t("push.time_unknown") : timeText(time_ms, styleOf(time_ms));
  return t("push.body", { door, time });
}

/** @param {number | null} time_ms @returns {RingOptions} */
function looks(time_ms) {
  return {
    lang: currentLocale(),
    icon: "./vendor/icons/icon-192.png",
    badge: "./vendor/icons/badge-96.png",
    ...(time_ms === null ? {} : { timestamp: time_ms }),
  };
}

/** Whether a ring belongs to one whose end is shown. @param {RingText} said @param {RingData} shown */
function isOver({ id, time_ms }, { events }) {
  const newest = /** @type {RingTime} */ (events.at(-1));
  return newest.event_id === id || (time_ms !== null && newest.time_ms !== null && time_ms <= newest.time_ms);
}

/** Whether an end belongs to an earlier ring than is shown. @param {OverText} said @param {RingData} shown */
function isOutdated({ time_ms }, { events }) {
  const newest = /** @type {RingTime} */ (events.at(-1));
  return time_ms !== null && newest.time_ms !== null && time_ms < newest.time_ms;
}

/** @param {Book} book @param {RingText} said @param {KnownDoorbell} doorbell */
async function picture(book, { device, id }, { identity_key }) {
  const [relay, browser] = [relayOf(book), await browserOf(book)];
  const of = { device, eventId: id, identityKey: identity_key };
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

/** As a `data:` URL wants it. @param {Uint8Array} data */
function base64(data) {
  return b64u(data).replaceAll("-", "+").replaceAll("_", "/");
}
