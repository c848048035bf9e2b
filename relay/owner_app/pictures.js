/**
 * A cache of the thumbnails that a page shows: each fetched once, a few at a time, the least
 * recently viewed released.
 * @module
 */
import { ApiError } from "./api.js";
import { thisBrowser } from "./account.js";
import { whenOf } from "./event_groups.js";
import { fetchPicture } from "./picture.js";
import { trustedKeys } from "./trust.js";
import { WireError } from "./vendor/protocol/encoding.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {{state: "shown", url: string, takenMs: number, ageMs: number} | {state: "not_for_us" | "altered"}} Picture */
/** @typedef {{url: string, takenMs: number}} Frame the last one of a live view */
/** @typedef {{fetched?: typeof fetchPicture, browser?: typeof thisBrowser, trusted?: typeof trustedKeys}} Sources where things come from, in tests */

const MOST = 300;
const AT_ONCE = 3;

export class Pictures {
  /** @param {Household} household @param {Sources} [sources] */
  constructor(household, { fetched = fetchPicture, browser = thisBrowser, trusted = trustedKeys } = {}) {
    this.household = household;
    this.fetched = fetched;
    this.browser = browser;
    this.trusted = trusted;
    /** @type {Map<string, Picture>} by event id, the one used last at the end */
    this.known = new Map();
    /** @type {Map<string, Promise<Picture | null>>} */
    this.coming = new Map();
    /** @type {Map<string, Frame>} by doorbell; in memory alone, as nothing of a live view is kept */
    this.frames = new Map();
    /** @type {(() => void)[]} who waits for a turn */
    this.waiting = [];
    this.running = 0;
  }

  /** What is known already. @param {ReportedEvent} told @returns {Picture | undefined} */
  find({ event: { id } }) {
    const picture = this.known.get(id);
    if (picture !== undefined) {
      this.known.delete(id);
      this.known.set(id, picture);
    }
    return picture;
  }

  /** Gets an event's picture; null if that failed and may work another time. @param {ReportedEvent} told */
  get(told) {
    const known = this.find(told);
    if (known !== undefined) return Promise.resolve(known);
    const { id } = told.event;
    const coming = this.coming.get(id) ?? this.#fetch(told).finally(() => this.coming.delete(id));
    this.coming.set(id, coming);
    return coming;
  }

  /** The last frame of a live view of this doorbell in this window, if there was one. @param {string} device */
  lastFrame(device) {
    return this.frames.get(device);
  }

  /** @param {string} device @param {Blob} jpeg @param {number} takenMs */
  keepFrame(device, jpeg, takenMs) {
    const before = this.frames.get(device);
    if (before !== undefined) URL.revokeObjectURL(before.url);
    this.frames.set(device, { url: URL.createObjectURL(jpeg), takenMs });
  }

  /** Forgets all; pictures that are shown go too. */
  close() {
    for (const id of [...this.known.keys()]) this.#forget(id);
    for (const { url } of this.frames.values()) URL.revokeObjectURL(url);
    this.frames.clear();
  }

  /** @param {ReportedEvent} told @returns {Promise<Picture | null>} */
  async #fetch(told) {
    await this.#turn();
    try {
      const picture = await this.#open(told);
      if (picture !== null) this.#keep(told.event.id, picture);
      return picture;
    } finally {
      this.running -= 1;
      this.waiting.shift()?.();
    }
  }

  /** @param {ReportedEvent} told @returns {Promise<Picture | null>} */
  async #open(told) {
    const { device, id } = told.event;
    const { relay, owner } = this.household;
    try {
      const identityKey = this.trusted(this.household, device).identity_key;
      const of = { device, eventId: id, identityKey };
      const { facts, jpeg } = await this.fetched(relay, await this.browser(owner), of);
      const url = URL.createObjectURL(new Blob([jpeg], { type: "image/jpeg" }));
      const { taken_ms: takenMs, age_ms } = facts;
      return { state: "shown", url, takenMs, ageMs: Math.max(age_ms, whenOf(told).ms - takenMs) };
    } catch (error) {
      console.warn("a picture can't be shown", error);
      if (error instanceof ApiError && error.status === 404) return { state: "not_for_us" };
      return error instanceof WireError ? { state: "altered" } : null;
    }
  }

  async #turn() {
    if (this.running >= AT_ONCE) await /** @type {Promise<void>} */ (new Promise((go) => this.waiting.push(go)));
    this.running += 1;
  }

  /** @param {string} id @param {Picture} picture */
  #keep(id, picture) {
    this.known.set(id, picture);
    const [oldest] = this.known.keys();
    if (this.known.size > MOST) this.#forget(oldest);
  }

  /** @param {string} id */
  #forget(id) {
    const picture = this.known.get(id);
    if (picture?.state === "shown") URL.revokeObjectURL(picture.url);
    this.known.delete(id);
  }
}

/**
 * How old a picture is beside the time that is shown, whose row may be another event's. A relay may
 * tell an old press as one of just now; when the picture was taken, the doorbell signed.
 * @param {Picture & {state: "shown"}} picture @param {ReportedEvent} told whose time is shown
 */
export function ageBeside({ takenMs, ageMs }, told) {
  return Math.max(ageMs, whenOf(told).ms - takenMs);
}
