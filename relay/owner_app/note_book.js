/**
 * The notes that must not be forgotten, kept in this browser: what was asked, what counts now, and
 * who is gone. They stay sealed in it, as the relay carried them, and are opened anew at each start.
 *
 * Every slot has a note and most say nothing, so the book also knows up to which one the relay's
 * were read.
 * @module
 */
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {import("./happenings.js").Told} Told */
/** @typedef {import("./vendor/protocol/documents.js").NoteBody} NoteBody */
/** @typedef {{seq: number, kept: Told[]}} Pages `seq` is the relay's number up to which all was read */

/** @type {NoteBody["type"][]} */
const KEPT = [
  "requests_matched",
  "settings_now",
  "holds_now",
  "owner_removed",
  "recovery_used",
  "confirmation_wanted",
  "statement_done",
  "statement_refused",
  "released",
];
const MOST = 300;

/** @param {string} credentialId */
const storedAs = (credentialId) => `notes:${credentialId}`;

export class NoteBook {
  /** @param {string} credentialId */
  constructor(credentialId) {
    this.credentialId = credentialId;
    this.seq = 0;
    /** @type {Map<string, Told>} by event id, in the order in which they came */
    this.kept = new Map();
    this.isRead = false;
  }

  /** Returns what was kept at earlier visits; once. @returns {Promise<Told[]>} */
  async read() {
    if (this.isRead) return [];
    this.isRead = true;
    /** @type {Pages | undefined} */
    const pages = await readKey(storedAs(this.credentialId));
    if (pages === undefined) return [];
    this.seq = pages.seq;
    for (const told of pages.kept) this.kept.set(told.event.id, told);
    return pages.kept;
  }

  /** Keeps a note if it is of use later. @param {Told} told @param {NoteBody} body @returns {boolean} */
  keep(told, body) {
    if (!KEPT.includes(body.type) || this.kept.has(told.event.id)) return false;
    this.kept.set(told.event.id, told);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MOST) this.kept.delete(oldest);
    return true;
  }

  /** Drops what a doorbell told. @param {string} device */
  forget(device) {
    for (const [id, { event }] of this.kept) if (event.device === device) this.kept.delete(id);
  }

  /** From now on nothing more is written down. */
  close() {
    this.isRead = false;
  }

  /** Writes it all down. */
  async write() {
    if (!this.isRead) return; // else what was kept before would be lost
    await writeKey(storedAs(this.credentialId), { seq: this.seq, kept: [...this.kept.values()] });
  }
}

/** @param {string} credentialId */
export function forgetNotes(credentialId) {
  return deleteKey(storedAs(credentialId));
}
