/**
 * Persistent notes in this browser: requests, current decisions, and former owners. They stay
 * sealed in it, as the relay carried them, and are opened anew at each start.
 *
 * Every slot has a note and most say nothing, so the book also knows up to which one the relay's
 * were read. Of the others the oldest go at some time; what counts now and what warns never does.
 * @module
 */
import { nowMs } from "./town_time.js";
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {import("./event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("./vendor/protocol/documents.js").NoteBody} NoteBody */
/** @typedef {import("./vendor/protocol/documents.js").OwnerNote} OwnerNote */
/** @typedef {{after?: string, seq?: number, kept: ReportedEvent[]}} Pages `after` says up to where all was read, of each doorbell; `seq` said it of all, once */

/** @type {NoteBody["type"][]} */
const KEPT = [
  "requests_matched",
  "settings_now",
  "refused_now",
  "preferences_now",
  "door_notice_now",
  "holds_now",
  "clips_decided",
  "export_now",
  "owner_removed",
  "recovery_used",
  "browser_enrolled",
  "browser_ended",
  "watching_began",
  "watching_ended",
  "door_locked",
  "wifi_tried",
  "confirmation_wanted",
  "statement_done",
  "statement_refused",
  "released",
];
/** An owner mustn't miss them, however long ago they came. @type {NoteBody["type"][]} */
const WARNINGS = ["owner_removed", "recovery_used"];
const MOST = 300;
/** Who watched, of which there may be many: it goes before anything else. @type {NoteBody["type"][]} */
const LOOKS = ["watching_began", "watching_ended"];

/** @param {string} credentialId @param {string} relay where its doorbells are; "" as it was kept before there were several */
const storedAs = (credentialId, relay) => (relay === "" ? `notes:${credentialId}` : `notes:${credentialId}@${relay}`);

export class NoteStore {
  /** @param {string} credentialId @param {string} relay another one isn't told what this one's doorbells said */
  constructor(credentialId, relay = "") {
    this.credentialId = credentialId;
    this.relay = relay;
    this.after = "";
    this.seq = 0;
    /** @type {Map<string, ReportedEvent>} by event id, in the order in which they came */
    this.kept = new Map();
    /** What those say that were opened in this visit, by event id. @type {Map<string, OwnerNote>} */
    this.opened = new Map();
    this.isRead = false;
  }

  /** Returns what was kept at earlier visits; once. @returns {Promise<ReportedEvent[]>} */
  async read() {
    if (this.isRead) return [];
    this.isRead = true;
    /** @type {Pages | undefined} */
    const pages = (await readKey(storedAs(this.credentialId, this.relay))) ?? (await this.#adopt());
    if (pages === undefined) return [];
    this.after = pages.after ?? "";
    this.seq = pages.seq ?? 0;
    for (const told of pages.kept) this.kept.set(told.event.id, told);
    return pages.kept;
  }

  /** What was kept before there were several relays is of the first one that reads it. @returns {Promise<Pages | undefined>} */
  async #adopt() {
    const before = storedAs(this.credentialId, "");
    const pages = await readKey(before);
    if (pages === undefined || this.relay === "") return pages;
    await writeKey(storedAs(this.credentialId, this.relay), pages);
    await deleteKey(before);
    return pages;
  }

  /** The part of a query that asks for what wasn't read yet. */
  get query() {
    return this.after === "" ? `after_seq=${this.seq}` : `after=${this.after}`;
  }

  /** Goes on after what the relay's answer had; tells whether that is further. @param {string} next */
  goOn(next) {
    const isOn = next !== this.after;
    this.after = next;
    this.seq = 0;
    return isOn;
  }

  /** Begins anew, because the relay can't read what this browser knows. */
  beginAnew() {
    this.goOn("");
  }

  /** Keeps a note if it is of use later. @param {ReportedEvent} told @param {OwnerNote} note @returns {boolean} */
  keep({ event, ...more }, note) {
    if (!KEPT.includes(note.body.type)) return false;
    this.opened.set(event.id, note);
    if (this.kept.has(event.id)) return false;
    this.kept.set(event.id, { event, ...more });
    if (this.kept.size > MOST) this.#dropOldest();
    return true;
  }

  /** Drops what a doorbell told. @param {string} device */
  forget(device) {
    for (const [id, { event }] of this.kept) if (event.device === device) this.#drop(id);
  }

  /** Drops the oldest of those that may go; what a visit couldn't open isn't known, and stays. */
  #dropOldest() {
    const stays = new Set([...this.#newest("settings_now"), ...this.#newest("refused_now"), ...this.#newest("preferences_now"), ...this.#newest("door_notice_now"), ...this.#newest("holds_now"), ...this.#newest("door_locked"), ...this.#newest("wifi_tried"), ...this.#rights()]);
    const mayGo = [...this.kept.keys()].filter((id) => {
      const note = this.opened.get(id);
      return note !== undefined && !stays.has(id) && !WARNINGS.includes(note.body.type);
    });
    const isLook = (/** @type {string} */ id) => LOOKS.includes(/** @type {OwnerNote} */ (this.opened.get(id)).body.type);
    const inOrder = [...mayGo.filter(isLook), ...mayGo.filter((id) => !isLook(id))];
    for (const id of inOrder.slice(0, Math.max(0, mayGo.length - MOST))) this.#drop(id);
  }

  /** The ids of the rights that count: of each browser the newest note, unless it was ended or is over. */
  #rights() {
    /** @type {Map<string, [number, string, number]>} */
    const found = new Map();
    for (const [id, { device, told_ms, body }] of this.opened) {
      if ((body.type !== "browser_enrolled" && body.type !== "browser_ended") || !this.kept.has(id)) continue;
      const key = `${device} ${body.browser}`;
      const known = found.get(key);
      if (known === undefined || known[0] <= told_ms) found.set(key, [told_ms, id, body.type === "browser_enrolled" ? body.until_ms : 0]);
    }
    return [...found.values()].filter(([, , untilMs]) => untilMs > nowMs()).map(([, id]) => id);
  }

  /** The ids of what counts now: of each doorbell by its time and, as settings have one, by its number. @param {"settings_now" | "refused_now" | "preferences_now" | "door_notice_now" | "holds_now" | "door_locked" | "wifi_tried"} type */
  #newest(type) {
    /** @type {Map<string, [number, string]>} */
    const found = new Map();
    for (const [id, { device, told_ms, body }] of this.opened) {
      if (body.type !== type || !this.kept.has(id)) continue;
      const revision = body.type === "settings_now" ? (body.settings?.revision ?? 0) : 0;
      for (const [by, rank] of Object.entries({ told_ms, revision })) {
        const known = found.get(`${device} ${by}`);
        if (known === undefined || known[0] <= rank) found.set(`${device} ${by}`, [rank, id]);
      }
    }
    return [...found.values()].map(([, id]) => id);
  }

  /** @param {string} id */
  #drop(id) {
    this.kept.delete(id);
    this.opened.delete(id);
  }

  /** From now on nothing more is written down. */
  close() {
    this.isRead = false;
  }

  /** Writes it all down. */
  async write() {
    if (!this.isRead) return; // else what was kept before would be lost
    await writeKey(storedAs(this.credentialId, this.relay), { after: this.after, kept: [...this.kept.values()] });
  }
}

/** @param {string} credentialId @param {string} relay */
export async function forgetNotes(credentialId, relay = "") {
  await deleteKey(storedAs(credentialId, relay));
  await deleteKey(storedAs(credentialId, ""));
}
