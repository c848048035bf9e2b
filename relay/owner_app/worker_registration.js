/**
 * The service worker's registration by a page: configuration, and updates at the owner's request.
 * Without one the app works, but neither offline nor with notifications.
 * @module
 */
import { currentLanguage, currentLocale } from "./i18n.js";
import { pause } from "./pause.js";
import { KeysDiffer, isOwnStatement, trustedKeys } from "./trust.js";
import { browserOf, writeWorkerStore } from "./worker_store.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./worker_store.js").Book} Book */
/** @typedef {import("./worker_store.js").KnownDoorbell} KnownDoorbell */
/** @typedef {import("./push.js").PushParties} PushParties */

const LOOK_FOR_NEWER_MS = 3600_000;
const INSTALL_WAIT_MS = 10_000;
/** A first page that hangs keeps neither notifications nor the app's files waiting for longer. */
export const START_WITHIN_MS = 5_000;

/** Tells of "newer": a newer version waits. */
export class WorkerRegistration extends EventTarget {
  constructor() {
    super();
    /** @type {ServiceWorkerRegistration | null} null where this browser can't */
    this.registration = null;
    /** Set once `start` has done what it can. */
    this.whenReady = new Promise((/** @type {(_: void) => void} */ ready) => (this.ready = ready));
    this.isStarted = false;
    this.lookedMs = 0;
    this.isReloading = false;
    /** Another window let a newer version take over: this page's own files aren't kept any more. */
    this.isReplaced = false;
    /** @type {Promise<unknown>} one after another: a later book must win */
    this.telling = Promise.resolve();
    this.told = "";
  }

  /** Whether all of the app is kept in this browser. */
  get isKept() {
    return Boolean(this.registration?.active);
  }

  /** A worker that waits while another one runs; the very first one waits for a moment too. */
  get hasNewer() {
    return Boolean(this.registration?.waiting && this.registration.active);
  }

  /**
   * Hears the worker that is there from the first moment on, and starts within a few seconds even
   * if no page ever comes.
   */
  listen() {
    setTimeout(() => void this.start(), START_WITHIN_MS);
    if (!("serviceWorker" in navigator)) return;
    const { serviceWorker } = navigator;
    const isFirst = serviceWorker.controller === null;
    serviceWorker.addEventListener("message", ({ data }) => {
      if (data?.type === "open" && /^#\/[a-z0-9/]*(\?relay=[\w%.-]+)?$/.test(data.hash)) location.hash = data.hash;
    });
    serviceWorker.addEventListener("controllerchange", () => {
      if (this.isReloading) location.reload();
      this.isReplaced = !isFirst;
    });
  }

  /**
   * Registers the worker, which fetches all of the app; never fails. To be called once the first
   * page is there, which shouldn't wait for that.
   */
  async start() {
    if (this.isStarted) return;
    this.isStarted = true;
    if ("serviceWorker" in navigator) await this.#register(navigator.serviceWorker);
    this.ready();
  }

  /** @param {ServiceWorkerContainer} serviceWorker */
  async #register(serviceWorker) {
    try {
      const how = /** @type {const} */ ({ type: "module", updateViaCache: "none" });
      const registration = await serviceWorker.register("./sw.js", how);
      if (!registration) throw new Error("none was registered"); // as where workers are blocked
      this.registration = registration;
      registration.addEventListener("updatefound", () => this.#follow(registration));
      this.#follow(registration);
      document.addEventListener("visibilitychange", () => this.#look(registration));
      this.#tellNewer();
    } catch (error) {
      console.warn("no service worker", error);
    }
  }

  /** Closes a doorbell's ring: this browser looks who is there. @param {string} device */
  async endRing(device) {
    await this.whenReady;
    const shown = (await this.registration?.getNotifications({ tag: `pressed-${device}` })) ?? [];
    for (const one of shown) one.close();
  }

  /** Lets the newer version take over, and starts it. */
  takeNewer() {
    this.isReloading = true;
    this.registration?.waiting?.postMessage({ type: "take_over" });
  }

  /**
   * Keeps the worker's book as the household is, and notifications as they were chosen.
   * @param {Household} household @param {string} relayUrl @param {AbortSignal} signal
   */
  follow(household, relayUrl, signal) {
    this.told = "";
    const tell = () => {
      const book = workerStoreOf(household, relayUrl);
      const text = JSON.stringify(book);
      if (!household.isLoaded || household.asOfMs > 0 || text === this.told) return;
      this.told = text;
      this.telling = this.telling
        .then(() => this.#tell(household, book, signal))
        .catch((error) => console.warn("notifications", error));
    };
    household.addEventListener("change", tell, { signal });
    tell();
  }

  /** @param {Household} household @param {Book} book @param {AbortSignal} signal */
  async #tell(household, book, signal) {
    if (signal.aborted) return;
    await writeWorkerStore(book);
    if (signal.aborted) return;
    const parties = await this.parties(household, book);
    if (parties === null || Notification.permission !== "granted") return;
    const { keepUp } = await import("./push.js");
    await keepUp(parties);
  }

  /**
   * Who takes part in notifications; null where there are none.
   * @param {Household} household @param {Book} book @returns {Promise<PushParties | null>}
   */
  async parties({ relay }, book) {
    await this.whenReady;
    const { registration } = this;
    if (registration === null || !canNotify(registration)) return null;
    if (!(await isActive(registration))) return null;
    return { relay, relayUrl: book.relay_url, registration, browser: await browserOf(book), doorbells: book.doorbells };
  }

  /** @param {ServiceWorkerRegistration} registration */
  #follow(registration) {
    registration.installing?.addEventListener("statechange", () => this.#tellNewer());
  }

  #tellNewer() {
    if (this.hasNewer) this.dispatchEvent(new Event("newer"));
  }

  /** @param {ServiceWorkerRegistration} registration */
  #look(registration) {
    const isDue = performance.now() - this.lookedMs > LOOK_FOR_NEWER_MS;
    if (document.visibilityState !== "visible" || !isDue) return;
    this.lookedMs = performance.now();
    registration.update().catch((error) => console.warn("no look for a newer version", error));
  }
}

/** @param {ServiceWorkerRegistration} registration */
export function canNotify(registration) {
  return "pushManager" in registration && "Notification" in globalThis;
}

/** Waits a while for a worker that is just being installed. @param {ServiceWorkerRegistration} registration */
async function isActive(registration) {
  await Promise.race([navigator.serviceWorker.ready, pause(INSTALL_WAIT_MS)]);
  return registration.active !== null;
}

/**
 * What the worker is to know. A doorbell for which the relay names other keys than were compared
 * isn't in it: nothing of that one is believed.
 * @param {Household} household @param {string} relayUrl
 * @returns {Book}
 */
export function workerStoreOf(household, relayUrl) {
  const doorbells = household.doorbells.flatMap(({ device, name }) => {
    try {
      const { identity_key, sealing_key } = trustedKeys(household, device);
      return [{ device, name, identity_key, sealing_key, is_own_word: isOwnStatement(device) }];
    } catch (error) {
      if (error instanceof KeysDiffer) return [];
      throw error;
    }
  });
  return {
    relay_url: relayUrl,
    token: household.relay.token,
    credential_id: household.owner.credential_id,
    doorbells,
    language: currentLanguage(),
    locale: currentLocale(),
  };
}
