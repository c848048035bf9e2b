/**
 * What the app knows: doorbells, their events, and the opened notes. Follows the relay's stream.
 *
 * Tells of changes: "change" (look again), "pressed" (with the event), "contact" (lost or back).
 * @module
 */
import { ApiError } from "./api.js";
import { findNoteKey } from "./account.js";
import { openNote } from "./vendor/protocol/notes.js";

/** @typedef {import("./vendor/protocol/documents.js").DoorbellEvent} DoorbellEvent */
/** @typedef {import("./vendor/protocol/documents.js").ClipReady} ClipReady */
/** @typedef {import("./vendor/protocol/documents.js").OwnerNote} OwnerNote */
/** @typedef {{device: string, name: string, state: "online" | "offline", since_ms: number, identity_key: string, sealing_key: string}} Doorbell */
/** @typedef {{relay_seq: number, received_ms: number, event: DoorbellEvent}} Told */
/** @typedef {{note: OwnerNote, time_ms: number}} OpenedNote */
/** @typedef {DoorbellEvent & {body: ClipReady}} ClipEvent */

const PAGE = 100;
const MAX_PAGES_BACK = 50;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

export class Household extends EventTarget {
  /** @param {import("./api.js").Relay} relay @param {import("./account.js").Owner} owner */
  constructor(relay, owner) {
    super();
    this.relay = relay;
    this.owner = owner;
    /** @type {Doorbell[]} */
    this.doorbells = [];
    /** @type {Map<string, Told>} */
    this.told = new Map();
    /** @type {Map<string, OpenedNote>} by event id */
    this.notes = new Map();
    this.unopenedNotes = 0;
    this.isLoaded = false;
    this.hasContact = true;
    this.lostContactMs = 0;
    this.isComplete = false;
    /** @type {import("./vendor/protocol/sealing.js").SealingPair | undefined} */
    this.noteKey = undefined;
  }

  /** Newest first. @returns {DoorbellEvent[]} */
  get events() {
    return [...this.told.values()]
      .sort((a, b) => b.relay_seq - a.relay_seq)
      .map((told) => told.event);
  }

  /** Newest first. @returns {ClipEvent[]} */
  get clips() {
    return /** @type {ClipEvent[]} */ (
      this.events.filter((event) => event.body.type === "clip_ready")
    );
  }

  /** Ids of the requests that a doorbell said concern it, with that doorbell. */
  get matches() {
    /** @type {Map<string, string>} */
    const found = new Map();
    for (const { note } of this.notes.values()) {
      if (note.body.type === "request_matched") found.set(note.body.request_id, note.device);
    }
    return found;
  }

  /** @param {string} device */
  doorbell(device) {
    return this.doorbells.find((doorbell) => doorbell.device === device);
  }

  /** Opened notes about one statement, oldest first. @param {string} digest */
  notesOn(digest) {
    return [...this.notes.values()]
      .filter(({ note }) => "statement_digest" in note.body && note.body.statement_digest === digest)
      .sort((a, b) => a.time_ms - b.time_ms);
  }

  /** Loads doorbells and the newest events. */
  async load() {
    const [{ doorbells }, { events }] = await Promise.all([
      this.relay.get("doorbells"),
      this.relay.get(`events?limit=${PAGE}`),
    ]);
    this.doorbells = doorbells;
    this.isComplete = events.length < PAGE;
    for (const told of events) await this.#take(told);
    this.isLoaded = true;
    this.#tell("change");
  }

  /** Loads older events until they reach back to a time. @param {number} fromMs */
  async loadBackTo(fromMs) {
    for (let page = 0; page < MAX_PAGES_BACK && !this.isComplete; page += 1) {
      const oldest = this.events.at(-1);
      if (oldest !== undefined && oldest.time_ms < fromMs) return;
      await this.loadOlder();
    }
  }

  /** Loads one more page of older events. */
  async loadOlder() {
    const sequence = Math.min(...[...this.told.values()].map((told) => told.relay_seq));
    const before = this.told.size ? `&before_seq=${sequence}` : "";
    const { events } = await this.relay.get(`events?limit=${PAGE}${before}`);
    for (const told of events) await this.#take(told);
    this.isComplete = events.length < PAGE;
    this.#tell("change");
  }

  /**
   * Follows the stream until the signal aborts; reconnects by itself.
   * @param {AbortSignal} signal
   */
  async follow(signal) {
    for (let tries = 0; !signal.aborted; ) {
      try {
        await this.load();
        this.#contact(true);
        tries = 0;
        for await (const message of this.relay.stream(signal)) await this.#hear(message);
      } catch (error) {
        if (signal.aborted || (error instanceof ApiError && error.status === 401)) return;
        console.warn("stream", error);
        this.#contact(false);
      }
      await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)], signal);
      tries += 1;
    }
  }

  /** @param {{event: string, data: any}} message */
  async #hear({ event, data }) {
    if (event === "doorbell") {
      const isNew = !this.told.has(data.event.id);
      await this.#take(data);
      const isAboutDoorbells = ["paired", "pairing_answer"].includes(data.event.body.type);
      if (isAboutDoorbells || !this.doorbell(data.event.device)) await this.#loadDoorbells();
      if (isNew && data.event.body.type === "pressed") this.#tell("pressed", data.event);
    } else if (event === "status") {
      const doorbell = this.doorbell(data.device);
      if (doorbell === undefined) await this.#loadDoorbells();
      else Object.assign(doorbell, { state: data.state, since_ms: Date.now() });
    } else if (event === "request") {
      this.#tell("request", data);
    }
    this.#tell("change");
  }

  async #loadDoorbells() {
    const { doorbells } = await this.relay.get("doorbells");
    this.doorbells = doorbells;
  }

  /** @param {Told} told */
  async #take(told) {
    const { event } = told;
    if (this.told.has(event.id)) return;
    this.told.set(event.id, told);
    if (event.body.type !== "note") return;
    if (event.body.credential_id !== this.owner.credential_id) return;
    try {
      this.noteKey ??= await findNoteKey(this.owner);
      if (this.noteKey === undefined) throw new Error("no note key in this browser");
      const note = await openNote(event.body.sealed, this.noteKey);
      if (note.device === event.device) this.notes.set(event.id, { note, time_ms: event.time_ms });
    } catch (error) {
      this.unopenedNotes += 1;
      console.warn("a note couldn't be opened", error);
    }
  }

  /** @param {boolean} hasContact */
  #contact(hasContact) {
    if (this.hasContact && !hasContact) this.lostContactMs = Date.now();
    this.hasContact = hasContact;
    this.#tell("contact");
  }

  /** @param {string} type @param {unknown} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Resolves after some time, or at once when aborted.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
export function pause(ms, signal) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    })
  );
}
