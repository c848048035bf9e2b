/**
 * The prefetched data of a live call: a nonce of the doorbell's, the ICE servers, and this
 * browser's keys. A press of "See" then costs one round trip.
 * @module
 */
import { thisBrowser } from "./account.js";
import { pause } from "./pause.js";
import { trustedKeys } from "./trust.js";

/** @typedef {import("./account.js").ThisBrowser} ThisBrowser */
/** @typedef {"anywhere" | "stun_only" | "home_only"} Reach */
/** @typedef {{ice_servers: RTCIceServer[], reach: Reach, expires_ms: number}} Ice */
/** @typedef {{madeMs: number, value: Promise<any>}} Held */
/**
 * One call, ready to be made.
 * @typedef {object} Call
 * @property {string} device
 * @property {"live" | "clips"} purpose
 * @property {ThisBrowser} browser
 * @property {string} identityKey the doorbell's own
 * @property {string} nonce
 * @property {() => Promise<string>} newNonce
 * @property {RTCIceServer[]} iceServers
 * @property {Reach} reach
 */

/** Older nonces are replaced: one that is about to end (NONCE_LIFE_MS in protocol/live.js) would cost a second try. */
export const NONCE_FRESH_MS = 100_000;
const ICE_FRESH_MS = 4 * 60_000;
/** Credentials must outlive the session's beginning by this. */
const ICE_SPARE_MS = 60_000;

export class LivePrefetch {
  /**
   * @param {import("./household.js").Household} household
   * @param {() => number} [nowMs] monotonic
   */
  constructor(household, nowMs = () => performance.now()) {
    this.household = household;
    this.relay = household.relay;
    this.nowMs = nowMs;
    /** @type {Map<string, Held>} */
    this.nonces = new Map();
    /** @type {Map<string, Held>} */
    this.ice = new Map();
    /** @type {Promise<ThisBrowser> | null} */
    this.browser = null;
  }

  /** Fetches what isn't there or is old; never fails. @param {string} device */
  prepare(device) {
    const things = [this.#nonce(device), this.#ice(device), this.#browser()];
    return Promise.allSettled(things);
  }

  /** Keeps a call ready until the signal aborts. @param {string} device @param {AbortSignal} signal */
  async keep(device, signal) {
    while (!signal.aborted) {
      await this.prepare(device);
      await pause(NONCE_FRESH_MS, signal);
    }
  }

  /** @param {string} device @returns {Promise<Reach>} from where live view works with this relay */
  async reach(device) {
    return (await this.#ice(device)).reach;
  }

  /**
   * Returns a call; its nonce is used by nobody else.
   * @param {string} device @param {"live" | "clips"} purpose
   * @returns {Promise<Call>}
   */
  async call(device, purpose) {
    const taking = this.#nonce(device);
    this.nonces.delete(device);
    const [nonce, ice, browser] = await Promise.all([taking, this.#ice(device), this.#browser()]);
    return {
      device,
      purpose,
      browser,
      identityKey: trustedKeys(this.household, device).identity_key,
      nonce,
      newNonce: () => this.#fetchNonce(device),
      iceServers: ice.ice_servers,
      reach: ice.reach,
    };
  }

  /** Forgets this browser's keys: it has another name now. */
  forgetBrowser() {
    this.browser = null;
  }

  /** @param {string} device @returns {Promise<string>} */
  #nonce(device) {
    return this.#held(this.nonces, device, NONCE_FRESH_MS, () => this.#fetchNonce(device));
  }

  /** @param {string} device @returns {Promise<string>} */
  async #fetchNonce(device) {
    return (await this.relay.post(`doorbells/${device}/nonce`)).nonce;
  }

  /** @param {string} device @returns {Promise<Ice>} */
  async #ice(device) {
    const fetched = () => this.relay.get(`doorbells/${device}/ice`);
    const ice = await this.#held(this.ice, device, ICE_FRESH_MS, fetched);
    if (ice.ice_servers.length === 0 || ice.expires_ms > Date.now() + ICE_SPARE_MS) return ice;
    this.ice.delete(device);
    return this.#held(this.ice, device, ICE_FRESH_MS, fetched);
  }

  #browser() {
    this.browser ??= thisBrowser(this.household.owner);
    return this.browser;
  }

  /**
   * Returns what is held, or fetches it; what failed isn't held.
   * @param {Map<string, Held>} held @param {string} device @param {number} freshMs
   * @param {() => Promise<any>} fetched
   */
  #held(held, device, freshMs, fetched) {
    const known = held.get(device);
    if (known !== undefined && this.nowMs() - known.madeMs < freshMs) return known.value;
    const mine = { madeMs: this.nowMs(), value: fetched() };
    held.set(device, mine);
    mine.value.catch(() => {
      if (held.get(device) === mine) held.delete(device);
    });
    return mine.value;
  }
}
