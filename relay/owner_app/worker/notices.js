/**
 * Notifications of what is no ring: the daily summary, an emergency, a doorbell that is silent or back.
 *
 * None fetches anything, has a picture or an action, or names a request; and a tap leads to one
 * page whatever it said. So the relay learns nothing by how a message is shown, and who looks at a
 * locked screen learns of a request only that there is something to read.
 * @module
 */
import { currentLocale, t, timeText, tn } from "../i18n.js";
import { isNewest } from "./message_memory.js";
import { CLOCK_ERROR_MS, styleOf } from "./times.js";

/** @typedef {import("../worker_store.js").Book} Book */
/** @typedef {import("../worker_store.js").KnownDoorbell} KnownDoorbell */
/** @typedef {import("./scope.js").RingOptions} RingOptions */
/** @typedef {import("./push_text.js").PushText} PushText */
/**
 * @template {import("./push_text.js").PushBody} B
 * @typedef {import("./push_text.js").PushText<B>} Said
 */

const MINUTE_MS = 60_000;
/** As the doorbell has them (firmware/protocol/live.py): so often it checks in, so long the message of its silence counts. */
const CHECK_IN_MS = 10 * MINUTE_MS;
const SILENT_LIFE_MS = 120 * MINUTE_MS;

export class Notices {
  /** @param {ServiceWorkerRegistration} registration @param {string} relay where the doorbell is */
  constructor(registration, relay) {
    this.registration = registration;
    this.relay = relay;
  }

  /** @param {Said<import("./push_text.js").SummaryBody>} said @param {KnownDoorbell} doorbell */
  summary({ device, body }, { name }) {
    const counts = t("push.summary.counts", { rings: tn("push.summary.rings", body.rings), motions: tn("push.summary.motions", body.motions) });
    const toRead = t(body.has_to_read ? "push.summary.one_to_read" : "push.summary.none_to_read");
    return this.#show(t("push.summary.title", { door: name }), `summary-${device}`, `${counts}\n${toRead}`, { silent: true, hash: "#/" });
  }

  /** Several doorbells of a household tell of the same one: it is shown once, and is here if one says so. @param {Said<import("./push_text.js").EmergencyBody>} said */
  async emergency({ body }) {
    const [before] = await this.registration.getNotifications({ tag: "emergency" });
    const isHere = before?.data?.is_here === true ? true : body.is_here;
    const where = isHere === null ? "somewhere" : isHere ? "here" : "elsewhere";
    const how = { hash: "#/requests", is_here: isHere, ...(before === undefined ? { vibrate: [200, 200, 200] } : { silent: true }) };
    return this.#show(t("push.emergency.title"), "emergency", `${t(`push.emergency.${where}`)}\n${t("push.emergency.ignore")}`, how);
  }

  /**
   * A message of a silent doorbell counts for a while after it was due, and no more after a later
   * word of that doorbell: an old one that somebody kept is worth nothing.
   * @param {Said<import("./push_text.js").SilentBody>} said @param {KnownDoorbell} doorbell @param {boolean} isQuiet
   */
  async silent({ device, time_ms, body }, { name }, isQuiet) {
    if (time_ms === null) return;
    const dueMs = time_ms + body.after_minutes * MINUTE_MS;
    const lateMs = Date.now() - dueMs;
    if (lateMs < -CLOCK_ERROR_MS || lateMs > CHECK_IN_MS + SILENT_LIFE_MS + CLOCK_ERROR_MS) return;
    if (!(await isNewest(device, time_ms))) return;
    const since = t("push.silent.since", { time: timeText(time_ms, styleOf(time_ms)) });
    const how = isQuiet ? { silent: true } : { vibrate: [150] };
    await this.#show(t("push.silent.title", { door: name }), `silent-${device}`, `${since}\n${t("push.silent.why")}`, { hash: "#/", ...how });
  }

  /**
   * It takes the place of what was said of its silence.
   * @param {Said<import("./push_text.js").BackBody>} said @param {KnownDoorbell} doorbell @param {boolean} isQuiet
   */
  back({ device, body }, { name }, isQuiet) {
    const text = (/** @type {string} */ key, /** @type {number} */ ms) => t(key, { time: timeText(ms, styleOf(ms)) });
    const lines = `${text("push.back.since", body.since_ms)}\n${text("push.back.silent", body.silent_since_ms)}`;
    const how = isQuiet ? { silent: true } : { vibrate: [150] };
    return this.#show(t("push.back.title", { door: name }), `silent-${device}`, lines, { hash: "#/", ...how });
  }

  /** @param {string} title @param {string} tag @param {string} body @param {{hash: string, is_here?: boolean | null} & RingOptions} how */
  #show(title, tag, body, { hash, is_here, ...options }) {
    /** @type {RingOptions} */
    const all = {
      ...options,
      tag,
      body,
      lang: currentLocale(),
      icon: "./vendor/icons/icon-192.png",
      badge: "./vendor/icons/badge-96.png",
      data: { hash, is_here, relay: this.relay },
    };
    return this.registration.showNotification(title, all);
  }
}
