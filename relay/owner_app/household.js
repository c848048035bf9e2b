/**
 * The app's state: doorbells, their events, and opened notes. Follows the relay's stream.
 *
 * Tells of changes: "change" (look again), "pressed" (with what was told), "matched" (with requests
 * that a doorbell just told of), "contact" (lost or back), "gone" (with one that is no longer theirs).
 * @module
 */
import { ApiError } from "./api.js";
import { thisBrowser } from "./account.js";
import { choicesOf } from "./clip_choices.js";
import { matchKey, matchesIn } from "./decision_notes.js";
import { nameOf } from "./door_names.js";
import { beforeQuery, bySeq, firstReport, lastReceivedMs, newestReports, redate, startOf, whenOf } from "./event_groups.js";
import { NoteStore } from "./note_store.js";
import { pause } from "./pause.js";
import { nowMs } from "./town_time.js";
import { forgedOf, identityOf, keepSealingKey } from "./trust.js";
import { openSignedNote } from "./vendor/protocol/notes.js";
import { loadSealing } from "./vendor/protocol/sealing.js";
import { openZones } from "./vendor/protocol/zones.js";

/** @typedef {import("./vendor/protocol/documents.js").DoorbellEvent} DoorbellEvent */
/** @typedef {import("./vendor/protocol/documents.js").ClipReady} ClipReady */
/** @typedef {import("./vendor/protocol/documents.js").OwnerNote} OwnerNote */
/** @typedef {import("./vendor/protocol/documents.js").Health} Health */
/** @typedef {import("./event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {{received_ms: number, health: Health}} LastHealth by the relay's clock */
/** @typedef {{device: string, name: string, state: "online" | "offline", since_ms: number, identity_key: string, sealing_key: string, health: LastHealth | null, troubles: ReportedEvent[], cloned_ms?: number | null, claim_replayed_ms?: number | null, guest?: Guest | null}} Doorbell `name` comes from its notes, `troubles` were open when it was loaded; the last two are the relay's own findings */
/** @typedef {{browser: string, what: import("./vendor/protocol/documents.js").What[], until_ms: number}} Guest this account's right there, by the relay's word; the doorbell's is in a note */
/** @typedef {{device: string, name: string, since_ms: number}} GoneDoorbell it told the relay that this is no longer an owner */
/** @typedef {{note: OwnerNote, time_ms: number}} OpenedNote */
/** @typedef {DoorbellEvent & {body: ClipReady}} ClipEvent */

const PAGE = 100;
const MAX_PAGES_BACK = 50;
const MAX_PAGES_TO_RING = 5;
/** Relays' clocks are less apart. */
const CLOCKS_APART_MS = 10 * 60_000;
/** Of 200 notes: more than a household of sixteen browsers gets in the seven days that they are kept. */
const MAX_NOTE_PAGES = 100;
/** @type {{names: string[], box: number[] | null}} */
const NOT_SEALED = { names: [], box: null };
const WRITE_AFTER_MS = 500;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

export class Household extends EventTarget {
  /** @param {import("./api.js").Relay} relay @param {import("./account.js").Owner} owner */
  constructor(relay, owner) {
    super();
    this.relay = relay;
    this.owner = owner;
    /** @type {Doorbell[]} */
    this.doorbells = [];
    this.gone = /** @type {GoneDoorbell[]} by the relay's word */ ([]);
    /** @type {Set<string>} doorbells of which the relay names another's key */
    this.forged = new Set();
    /** @type {Map<string, ReportedEvent>} */
    this.told = new Map();
    /** @type {Map<string, OpenedNote>} by event id */
    this.notes = new Map();
    /** @type {Map<string, OpenedNote>} those of doorbells that are gone, by the relay's word */
    this.aside = new Map();
    /** @type {Set<string>} by the ids that the doorbell gave them: a relay may carry one twice */
    this.noteIds = new Set();
    /** Grows with each change of events and notes: what is made of them is made anew then. */
    this.revision = 0;
    this.sorted = { at: -1, size: 0, history: /** @type {ReportedEvent[]} */ ([]) };
    /** @type {Map<string, Promise<void>>} notes that are just being opened, by event id */
    this.openings = new Map();
    /** The signed records of doorbells that this owner left, while the page is open. @type {Map<string, {note: string, signature: string}>} */
    this.records = new Map();
    this.unopenedNotes = 0;
    this.notesElsewhere = 0;
    this.book = new NoteStore(owner.credential_id, relay.base);
    this.isLoaded = false;
    /** The relay has told how things are: what was kept from before is of no use any more. */
    this.hasHeard = false;
    this.hearing = /** @type {Promise<void> | null} */ (null);
    /** The reading of notes that is under way; one after another, and never a reason to fail. */
    this.reading = Promise.resolve();
    this.hasContact = true;
    this.lostContactMs = 0;
    this.isComplete = false;
    /** How far the relay's stream was heard: another one goes on from there. */
    this.lastId = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.writing = undefined;
    /** When what is shown was known, while it comes from this browser's own memory; else 0. */
    this.asOfMs = 0;
    /** @type {import("./account.js").ThisBrowser | undefined} */
    this.browser = undefined;
  }

  /** All that is loaded, newest first, each clip by its newest telling. @returns {ReportedEvent[]} */
  get history() {
    const { at, size } = this.sorted;
    if (at !== this.revision || size !== this.told.size) {
      const dated = newestReports(this.told.values()).map((told) => ({ told, ms: whenOf(told).ms }));
      dated.sort((a, b) => b.ms - a.ms || bySeq(b.told, a.told));
      this.sorted = { at: this.revision, size: this.told.size, history: dated.map(({ told }) => told) };
    }
    return this.sorted.history;
  }

  /** Newest first; none that an owner deleted. @returns {ClipEvent[]} */
  get clips() {
    const choices = choicesOf(this);
    return this.allClips.filter(({ device, body }) => !choices.isGone(device, body.clip_id));
  }

  /** Newest first, deleted ones too. @returns {ClipEvent[]} */
  get allClips() {
    const events = this.history.map((told) => told.event);
    return /** @type {ClipEvent[]} */ (events.filter((event) => event.body.type === "clip_ready"));
  }

  /** Tells whether the doorbell hasn't told a clip anew since. @param {ClipEvent} clip */
  isNewest(clip) {
    return this.clips.includes(clip);
  }

  /** Returns when a loaded clip begins. @param {ClipEvent} clip */
  startOf(clip) {
    return startOf(/** @type {ReportedEvent} */ (this.told.get(clip.id)));
  }

  /** The requests that doorbells told of, oldest first. */
  get matches() {
    return matchesIn(this.notes.values());
  }

  /** Whether the owner's notes so far were sealed to other browsers only. */
  get isUntold() {
    return this.notesElsewhere > 0 && this.notes.size === 0;
  }

  /** Whether this account is a guest wherever it has a doorbell: then it decides nothing. */
  get isGuest() {
    return this.doorbells.length > 0 && this.doorbells.every(({ guest }) => guest != null);
  }

  /** Whether a note is for this account: an owner's passkey, or a guest's browser. @param {string} device @param {{credential_id: string, browser: string}} note */
  #isForUs(device, { credential_id, browser }) {
    return credential_id === this.owner.credential_id || this.doorbell(device)?.guest?.browser === browser;
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

  /** Waits for a first load from the relay, whoever began it, and for the notes: what was kept from before may lack what is asked for. */
  async heard() {
    await this.#loaded();
    await this.reading;
  }

  #loaded() {
    this.hearing ??= this.load().catch((error) => {
      this.hearing = null;
      throw error;
    });
    return this.hearing;
  }

  /** Loads doorbells and the newest events. */
  async load() {
    const [{ doorbells, gone }, { events }] = await Promise.all([
      this.relay.get("doorbells"),
      this.relay.get(`events?limit=${PAGE}`),
    ]);
    this.hasHeard = true;
    const isRestored = this.asOfMs > 0;
    if (isRestored) this.#forgetNotes();
    const knownMs = lastReceivedMs(this.told.values());
    const isNew = this.#hasNew(events);
    await this.#setDoorbells(doorbells, gone);
    this.isComplete = events.length < PAGE;
    await this.#takeAll(events);
    if (isRestored) this.#dropUntold(events, knownMs);
    else if (knownMs > 0 && isNew) await this.#closeGap(events, knownMs);
    this.isLoaded = true;
    this.#tell("change");
    this.reading = this.reading.then(() => this.#loadNotes());
  }

  /** Tells the relay once whose keys this session has: a lost phone is signed out by their name. @param {string} id */
  #nameBrowser(id) {
    if (this.isBrowserNamed) return;
    this.isBrowserNamed = true;
    this.relay.put(`session/browser/${id}`, {}).catch((error) => {
      this.isBrowserNamed = false;
      console.warn("this session's browser", error);
    });
  }

  /** Reads the notes that were kept, and those that came since: what was asked mustn't be missed. */
  async #loadNotes() {
    try {
      await loadSealing();
      this.browser ??= await thisBrowser(this.owner);
      this.#nameBrowser(this.browser.id);
      await this.#takeKept();
      for (let page = 0; page < MAX_NOTE_PAGES; page += 1) {
        const { id } = this.browser;
        const { events, next, has_more } = await this.relay.get(`notes?browser=${id}&${this.book.query}`);
        for (const told of events) await this.#takeNote(told);
        const isOn = this.book.goOn(next);
        if (!has_more || !isOn) break;
      }
      await this.book.write();
      this.#tell("change");
    } catch (error) {
      if (error instanceof ApiError && error.code === "cursors") this.book.beginAnew();
      console.warn("notes", error);
    }
  }

  /** Opens the notes that were kept at earlier visits. */
  async #takeKept() {
    await this.book.read();
    for (const told of [...this.book.kept.values()]) {
      if (this.doorbell(told.event.device) !== undefined) await this.#takeNote(told);
    }
  }

  /** Opens a note that isn't shown among the events. @param {ReportedEvent} told */
  async #takeNote(told) {
    const { id, device, body } = told.event;
    if (this.told.has(id) || this.notes.has(id)) return this.openings.get(id);
    if (body.type !== "note" || !this.#isForUs(device, body)) return;
    await this.#open(told, device, body);
  }

  /**
   * Shows what was known once; what the relay tells takes its place.
   * @param {import("./snapshot.js").Snapshot} kept
   */
  async restore({ as_of_ms, doorbells, tolds }) {
    const forged = await forgedOf(doorbells);
    if (this.hasHeard) return;
    this.asOfMs = as_of_ms;
    this.isLoaded = true;
    this.forged = forged;
    this.doorbells = doorbells;
    for (const told of tolds) {
      if (this.asOfMs === 0) return; // the relay has told meanwhile
      await this.#take(told);
    }
    redate(this.told.values());
    this.revision += 1;
    this.#tell("change");
    const open = () => this.#takeKept().then(() => this.#tell("change"));
    this.reading = this.reading.then(open).catch((error) => console.warn("kept notes", error));
    await this.reading;
  }

  /** What is worth to be kept. @param {number} most events */
  newest(most) {
    const tolds = [...this.told.values()].sort((a, b) => bySeq(b, a)).slice(0, most);
    return { doorbells: this.doorbells, tolds };
  }

  /**
   * Loads what was missed in a long silence, of which the newest page is but a part: until a page has nothing new, or
   * is from before it by any relay's clock.
   * @param {ReportedEvent[]} events the newest page @param {number} knownMs
   */
  async #closeGap(events, knownMs) {
    for (let page = 0; page < MAX_PAGES_BACK; page += 1) {
      const first = firstReport(events);
      if (events.length < PAGE || first === undefined || first.received_ms < knownMs - CLOCKS_APART_MS) return;
      ({ events } = await this.relay.get(`events?limit=${PAGE}${beforeQuery(first)}`));
      if (!this.#hasNew(events)) return;
      await this.#takeAll(events);
    }
  }

  /** @param {ReportedEvent[]} events */
  #hasNew(events) {
    return events.some(({ event }) => !this.told.has(event.id));
  }

  /** Loads older events until there is a ring among them: a page may hold nothing but motion. */
  async loadBackToRing() {
    const hasRing = () => [...this.told.values()].some(({ event }) => event.body.type === "pressed");
    for (let page = 0; page < MAX_PAGES_TO_RING && !this.isComplete && !hasRing(); page += 1) {
      await this.loadOlder();
    }
  }

  /** Loads older events until they reach back to a time. @param {number} fromMs */
  async loadBackTo(fromMs) {
    for (let page = 0; page < MAX_PAGES_BACK && !this.isComplete; page += 1) {
      // Nothing is heard of before it happens.
      const first = firstReport(this.told.values());
      if (first !== undefined && first.received_ms < fromMs) return;
      await this.loadOlder();
    }
  }

  /**
   * Forgets what was kept and the relay doesn't tell: all of it, unless its newest page reaches
   * back to that. What it does tell stays, so that nobody's place in the history is lost.
   * @param {ReportedEvent[]} events the newest page @param {number} knownMs when the newest that was kept came
   */
  #dropUntold(events, knownMs) {
    const told = new Set(events.map(({ event }) => event.id));
    const first = events.length < PAGE ? undefined : firstReport(events);
    const from = first !== undefined && first.received_ms <= knownMs ? first : null;
    for (const [id, one] of this.told) {
      if ((from === null || bySeq(one, from) >= 0) && !told.has(id)) this.told.delete(id);
    }
    this.revision += 1;
  }

  /** Loads one more page of older events. @param {number} [size] of the page */
  async loadOlder(size = PAGE) {
    const first = firstReport(this.told.values());
    const { events } = await this.relay.get(`events?limit=${size}${beforeQuery(first)}`);
    // What they come before may have been kept from long ago, and be forgotten since.
    if (first === undefined || this.told.has(first.event.id)) {
      await this.#takeAll(events);
      this.isComplete = events.length < size;
    }
    this.#tell("change");
  }

  /**
   * Follows the stream until the signal aborts; reconnects by itself.
   * @param {AbortSignal} signal
   */
  async follow(signal) {
    for (let tries = 0; !signal.aborted; ) {
      try {
        await this.#loaded();
        for await (const message of this.relay.stream(signal, this.lastId)) {
          if (message.event !== "hello") await this.#hear(message);
          else {
            // What happens between a load and the stream's beginning would be missed; a stream that goes on tells it.
            if (this.lastId === "" || message.id === undefined) await this.load();
            this.#contact(true);
            tries = 0;
            this.loadBackToRing().catch((error) => console.warn("older events", error));
          }
          this.lastId = message.id ?? this.lastId;
        }
      } catch (error) {
        if (signal.aborted || (error instanceof ApiError && error.status === 401)) return;
        console.warn("stream", error);
        this.#contact(false);
      }
      await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)], signal);
      tries += 1;
    }
  }

  /** Without a network there is no contact, though the stream doesn't notice it at once. @param {boolean} isThere */
  async networkIs(isThere) {
    if (!isThere) return this.#contact(false);
    try {
      await this.refresh();
      this.#contact(true);
    } catch (error) {
      console.warn("network", error); // the stream goes on trying
    }
  }

  /** @param {{event: string, data: any}} message */
  async #hear({ event, data }) {
    if (event === "doorbell") {
      const isNew = !this.told.has(data.event.id);
      const changesWhat = data.event.body.type === "guest_let"; // of one who has been let in before
      if (changesWhat || !this.doorbell(data.event.device)) await this.#loadDoorbells();
      await this.#takeAll([data]);
      // Motion is told by the list alone: nobody is called for it.
      if (isNew && data.event.body.type === "pressed") this.#tell("pressed", this.told.get(data.event.id));
    } else if (event === "status") {
      const doorbell = this.doorbell(data.device);
      if (doorbell === undefined) await this.#loadDoorbells();
      else Object.assign(doorbell, { state: data.state, since_ms: nowMs() });
    } else if (event === "health") {
      const { device, received_ms, health } = data;
      const doorbell = this.doorbell(device);
      if (doorbell !== undefined) doorbell.health = { received_ms, health };
    } else if (event === "thumbnail") {
      const told = this.told.get(data.event_id);
      if (told !== undefined && told.event.device === data.device) {
        told.has_thumbnail = true;
        this.revision += 1;
      }
    } else if (event === "linked" || event === "reload") {
      await this.load(); // what was told just before it was ours, such as its first note, or isn't told twice
    } else if (event === "gone") {
      await this.#loadDoorbells();
      this.#tell("gone", data.device);
    } else if (event === "request") {
      this.#tell("request", data);
    }
    this.#tell("change");
  }

  /** Asks again how the doorbells are; an open page hears only of what changes a sentence. */
  async refresh() {
    await this.#loadDoorbells();
    this.#tell("change");
  }

  /** Forgets the notes that were kept, of whoever was the doorbell's owner then: they are opened anew. */
  #forgetNotes() {
    this.asOfMs = 0;
    this.revision += 1;
    for (const [id, { event }] of this.told) if (event.body.type === "note") this.told.delete(id);
    this.notes.clear();
    this.aside.clear();
    this.noteIds.clear();
    this.unopenedNotes = this.notesElsewhere = 0;
  }

  async #loadDoorbells() {
    const { doorbells, gone } = await this.relay.get("doorbells");
    await this.#setDoorbells(doorbells, gone);
  }

  /** @param {Doorbell[]} doorbells @param {GoneDoorbell[]} [gone] */
  async #setDoorbells(doorbells, gone = []) {
    this.forged = await forgedOf(doorbells);
    this.doorbells = doorbells;
    this.gone = gone;
    this.revision += 1;
    this.#nameAll();
    const devices = new Set(gone.map(({ device }) => device));
    for (const [id, { event }] of this.told) if (devices.has(event.device)) this.told.delete(id);
    // That it is gone is the relay's word alone: its notes come back if it does.
    for (const [id, opened] of [...this.aside, ...this.notes]) {
      const [from, to] = devices.has(opened.note.device) ? [this.notes, this.aside] : [this.aside, this.notes];
      if (from.delete(id)) to.set(id, opened);
    }
  }

  /** Names the doorbells anew: their names come in notes. */
  #nameAll() {
    const notes = [...this.notes.values(), ...this.aside.values()];
    for (const bell of [...this.doorbells, ...this.gone]) bell.name = nameOf(notes, bell.device);
  }

  /** Forgets a doorbell's notes for good, because its owner says so. @param {string} device */
  async forgetDoor(device) {
    for (const [id, { note }] of [...this.notes, ...this.aside]) {
      if (note.device === device) this.notes.delete(id) || this.aside.delete(id);
    }
    this.book.forget(device);
    await this.book.write();
  }

  /** @param {ReportedEvent[]} tolds */
  async #takeAll(tolds) {
    for (const told of tolds) await this.#take(told);
    redate(this.told.values());
    this.revision += 1;
  }

  /** Takes what was told; a note of it is opened then, whoever began with it. @param {ReportedEvent} told */
  async #take(told) {
    const { event } = told;
    const known = this.told.get(event.id);
    this.revision += 1;
    if (known !== undefined) {
      known.corrected_ms ??= told.corrected_ms;
      known.has_thumbnail ||= told.has_thumbnail;
      return this.openings.get(event.id);
    }
    this.told.set(event.id, told);
    if (event.body.type === "motion") Object.assign(event.body, await this.#zonesOf(event.body));
    if (event.body.type !== "note" || !this.#isForUs(event.device, event.body)) return;
    const opening = this.#open(told, event.device, event.body);
    this.openings.set(event.id, opening);
    await opening;
    if (this.openings.get(event.id) === opening) this.openings.delete(event.id);
  }

  /** A movement's zones and place, as far as they are sealed to this browser. @param {import("./vendor/protocol/documents.js").Motion} motion */
  async #zonesOf({ zones }) {
    try {
      this.browser ??= await thisBrowser(this.owner);
      const { id, pairs } = this.browser;
      const mine = zones.find(({ browser }) => browser === id);
      return mine === undefined ? NOT_SEALED : await openZones(mine.sealed, pairs.viewing);
    } catch (error) {
      console.warn("a movement's zones can't be opened", error);
      return NOT_SEALED;
    }
  }

  /** Opens a note that is sealed to this browser. @param {ReportedEvent} told @param {string} device @param {{browser: string, sealed: string}} sealedNote */
  async #open(told, device, { browser, sealed }) {
    const { id } = told.event;
    try {
      this.browser ??= await thisBrowser(this.owner);
      if (browser !== this.browser.id) {
        this.notesElsewhere += 1;
        return;
      }
      const { opened: note, signed } = await openSignedNote(sealed, this.browser.pairs.viewing, identityOf(this, device));
      if (note.body.type === "nothing") this.told.delete(id); // there is one in every slot
      if (note.device !== device || this.noteIds.has(note.id)) return;
      this.noteIds.add(note.id);
      keepSealingKey(this, note);
      if (note.body.type === "nothing") return;
      const known = new Set(this.matches.map(matchKey));
      this.notes.set(id, { note, time_ms: note.told_ms });
      this.revision += 1;
      if (note.body.type === "moved_out") this.records.set(device, signed);
      if (note.body.type === "preferences_now") this.#nameAll();
      if (this.book.keep(told, note)) this.#writeSoon();
      const fresh = this.matches.filter((match) => !known.has(matchKey(match)));
      if (fresh.length > 0) this.#tell("matched", fresh);
    } catch (error) {
      this.unopenedNotes += 1;
      console.warn("a note couldn't be opened", error);
    }
  }

  /** Writes the book once what is just coming is there. */
  #writeSoon() {
    if (!this.book.isRead || this.writing !== undefined) return; // else a load is about to write it
    this.writing = setTimeout(() => {
      this.writing = undefined;
      this.book.write().catch((error) => console.warn("notes", error));
    }, WRITE_AFTER_MS);
  }

  /** @param {boolean} hasContact */
  #contact(hasContact) {
    if (this.hasContact === hasContact) return;
    if (!hasContact) this.lostContactMs = nowMs();
    this.hasContact = hasContact;
    this.#tell("contact");
  }

  /** @param {string} type @param {unknown} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
