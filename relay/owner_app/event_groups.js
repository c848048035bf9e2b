/**
 * Groups of a doorbell's events that belong together, with their times.
 *
 * A press and the motion around it lie in one clip and are one happening; motion upon motion is
 * folded, so that it pushes no ring out of sight. A long clip goes on in the next one, which names
 * the same trigger and is a row of its own. No words, no page.
 * @module
 */
import { LAST_MS } from "./vendor/protocol/encoding.js";

/** @typedef {import("./vendor/protocol/documents.js").DoorbellEvent} DoorbellEvent */
/** @typedef {import("./vendor/protocol/documents.js").ClipReady} ClipReady */
/** @typedef {import("./vendor/protocol/documents.js").ClockSet} ClockSet */
/** @typedef {import("./vendor/protocol/documents.js").Trouble} Trouble */
/** @typedef {{relay_seq: number, received_ms: number, corrected_ms: number | null, has_thumbnail?: boolean, event: DoorbellEvent}} ReportedEvent */
/** @typedef {{ms: number, dating: "sure" | "corrected" | "unsure"}} When */
/** @typedef {{name: string, browser_name: string, began_ms: number, ended_ms: number, has_talked: boolean}} Visit */
/** @typedef {import("./vendor/protocol/documents.js").NoteBody} NoteBody */
/** @typedef {{kind: "pressed" | "motion" | "clip_ready" | "trouble" | "paired" | "visit" | "browser", told: ReportedEvent, others: ReportedEvent[], clip: ReportedEvent | undefined, visit?: Visit, note?: NoteBody}} EventGroup `others` lie in the same clip */
/** @typedef {{kind: "more_motion", motions: EventGroup[]}} MoreMotion newest first, of one door and day */

/** Motion is folded where at least so many movements would be hidden. */
const LEAST_FOLDED = 2;

/** So much of a short list is kept for rings. */
const SHARE_OF_RINGS = 0.5;

/**
 * Returns what was told, each clip by its newest telling only: a doorbell tells a clip anew when
 * it was dated, or sealed, anew.
 * @param {Iterable<ReportedEvent>} all in any order
 */
export function newestReports(all) {
  const tolds = [...all];
  /** @type {Map<string, ReportedEvent>} */
  const newest = new Map();
  for (const told of tolds) {
    const key = clipKey(told);
    const known = key && newest.get(key);
    if (key && (!known || known.event.seq < told.event.seq)) newest.set(key, told);
  }
  return tolds.filter((told) => {
    const key = clipKey(told);
    return key === null || newest.get(key) === told;
  });
}

/**
 * Returns when something happened; a clip, when it begins. A time of a clock that wasn't set says nothing, so until the
 * doorbell has learnt the time, it is when the relay heard of it.
 * @param {ReportedEvent} told
 * @returns {When}
 */
export function whenOf(told) {
  const { event, received_ms } = told;
  const corrected_ms = correctionOf(told);
  if (corrected_ms === null && !event.is_clock_trusted) return { ms: received_ms, dating: "unsure" };
  const ms = event.body.type === "clip_ready" ? startOf(told) : (corrected_ms ?? event.time_ms);
  return { ms, dating: corrected_ms === null ? "sure" : "corrected" };
}

/** Returns when a clip begins, as the doorbell's library has it, by the relay's word. @param {ReportedEvent} told */
export function startOf(told) {
  const { event } = told;
  const corrected_ms = correctionOf(told);
  const { started_ms } = /** @type {ClipReady} */ (event.body);
  return corrected_ms === null ? started_ms : started_ms + corrected_ms - event.time_ms;
}

/** What the time of a clock that wasn't set was corrected to; there is nothing to correct of one that was. @param {ReportedEvent} told */
function correctionOf({ event, corrected_ms }) {
  return event.is_clock_trusted ? null : corrected_ms;
}

/** When the relay heard of what came last; 0 if there is nothing. @param {Iterable<ReportedEvent>} all */
export function lastReceivedMs(all) {
  return Math.max(0, ...[...all].map(({ received_ms }) => received_ms));
}

/**
 * For sorting as the relay's pages go: a number rises within one doorbell, and two doorbells may have the same.
 * @param {ReportedEvent} a @param {ReportedEvent} b
 */
export function bySeq(a, b) {
  return a.relay_seq - b.relay_seq || (a.event.device < b.event.device ? -1 : Number(a.event.device > b.event.device));
}

/** The one with which older pages begin. @param {Iterable<ReportedEvent>} all @returns {ReportedEvent | undefined} */
export function firstReport(all) {
  return [...all].sort(bySeq)[0];
}

/** The part of a query that asks for what comes before a page. @param {ReportedEvent | undefined} first of it */
export function beforeQuery(first) {
  return first === undefined ? "" : `&before_seq=${first.relay_seq}&before_device=${first.event.device}`;
}

/** For sorting newest first. @param {ReportedEvent} a @param {ReportedEvent} b */
export function byTime(a, b) {
  return whenOf(b).ms - whenOf(a).ms || bySeq(b, a);
}

/**
 * Dates anew what a doorbell told before its clock was set, as the relay does: once.
 * @param {Iterable<ReportedEvent>} all in any order
 */
export function redate(all) {
  const tolds = [...all];
  const clocks = tolds.filter(({ event }) => event.body.type === "clock_set");
  clocks.sort((a, b) => a.event.seq - b.event.seq);
  for (const told of tolds) {
    const { event } = told;
    if (event.is_clock_trusted || told.corrected_ms !== null) continue;
    const clock = clocks.find(({ event: { device, seq, body } }) => {
      const { from_seq, to_seq } = /** @type {ClockSet} */ (body);
      return device === event.device && seq > event.seq && from_seq <= event.seq && event.seq <= to_seq;
    });
    if (clock === undefined) continue;
    const ms = event.time_ms + /** @type {ClockSet} */ (clock.event.body).offset_ms;
    if (ms >= 0 && ms <= LAST_MS) told.corrected_ms = ms;
  }
}

/**
 * Returns what is shown of a history, newest first.
 * @param {ReportedEvent[]} history
 * @param {Map<string, {note: {device: string, body: NoteBody}}>} [notes] those that were opened, by event id
 * @returns {EventGroup[]}
 */
export function groupEvents(history, notes = new Map()) {
  const clips = clipsByTrigger(history);
  const places = new Map(history.map(({ event }, place) => [event.id, place]));
  const shownClips = new Set();
  /** @type {Map<string, ReportedEvent[]>} */
  const groups = new Map();
  /** @type {EventGroup[]} */
  const found = [];
  for (const told of history) {
    const { type } = told.event.body;
    if (type === "trouble" || type === "paired") {
      found.push({ kind: type, told, others: [], clip: undefined });
    } else if (type === "pressed" || type === "motion") {
      const clip = clips.get(told.event.id);
      if (clip !== undefined) shownClips.add(clip);
      const key = clip?.event.id ?? told.event.id;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [told]);
      else group.push(told);
    }
  }
  for (const group of groups.values()) found.push(together(group, clips));
  for (const told of history) {
    if (told.event.body.type !== "clip_ready" || shownClips.has(told)) continue;
    found.push({ kind: "clip_ready", told, others: triggersAt(history, places, told), clip: told });
  }
  found.push(...fromNotes(history, notes));
  return found
    .map((group) => ({ group, ms: whenOf(group.told).ms }))
    .sort((a, b) => b.ms - a.ms || bySeq(b.group.told, a.group.told))
    .map(({ group }) => group);
}

/**
 * As `triggersOf`, by where each event stands in the history.
 * @param {ReportedEvent[]} history @param {Map<string, number>} places @param {ReportedEvent} clip
 */
function triggersAt(history, places, clip) {
  return triggerIds(/** @type {ClipReady} */ (clip.event.body))
    .flatMap((id) => places.get(id) ?? [])
    .sort((a, b) => b - a)
    .map((place) => history[place]);
}

/**
 * Who watched, and which browsers were let in or ended. A visit that still goes on isn't history.
 * @param {ReportedEvent[]} history @param {Map<string, {note: {device: string, body: NoteBody}}>} notes
 * @returns {EventGroup[]}
 */
function fromNotes(history, notes) {
  /** @type {Map<string, import("./vendor/protocol/documents.js").WatchingBegan>} */
  const begun = new Map();
  for (const { note } of notes.values()) {
    if (note.body.type === "watching_began") begun.set(`${note.device}/${note.body.session_id}`, note.body);
  }
  /** @type {EventGroup[]} */
  const found = [];
  for (const told of history) {
    const body = notes.get(told.event.id)?.note.body;
    const plain = { told, others: [], clip: undefined };
    if (body?.type === "browser_enrolled" || body?.type === "browser_ended") {
      found.push({ ...plain, kind: "browser", note: body });
    } else if (body?.type === "watching_ended") {
      const began = begun.get(`${told.event.device}/${body.session_id}`);
      if (began === undefined) continue; // it is older than what is loaded
      const { name, browser_name, at_ms: began_ms } = began;
      const visit = { name, browser_name, began_ms, ended_ms: body.at_ms, has_talked: body.has_talked };
      found.push({ ...plain, kind: "visit", visit });
    }
  }
  return found;
}

/**
 * Folds what stands below the first of several movements of one door on one day.
 * @param {EventGroup[]} found newest first
 * @returns {(EventGroup | MoreMotion)[]}
 */
export function foldMotion(found) {
  /** @type {(EventGroup | MoreMotion)[]} */
  const rows = [];
  for (let at = 0; at < found.length; ) {
    const first = found[at];
    let end = at + 1;
    while (end < found.length && isOneRun(first, found[end])) end += 1;
    const more = found.slice(at + 1, end);
    if (more.length < LEAST_FOLDED) rows.push(first, ...more);
    else rows.push(first, { kind: "more_motion", motions: more });
    at = end;
  }
  return rows;
}

/**
 * Returns the newest rows; whatever else happened, up to half of them are rings.
 * @template {{kind: string}} T
 * @param {T[]} rows newest first
 * @param {number} most
 */
export function newestRows(rows, most) {
  const rings = rows.filter(({ kind }) => kind === "pressed").slice(0, Math.floor(most * SHARE_OF_RINGS));
  const others = rows.filter((row) => !rings.includes(row)).slice(0, most - rings.length);
  return rows.filter((row) => rings.includes(row) || others.includes(row));
}

/**
 * Tells whether a clip goes on from an earlier one: what set it off lies in that one already.
 * @param {ReportedEvent[]} history @param {ReportedEvent} clip
 */
export function goesOn(history, clip) {
  const { trigger_event_id, pre_roll_ms } = /** @type {ClipReady} */ (clip.event.body);
  if (pre_roll_ms > 0) return false;
  return history.some((other) => {
    const { device, body } = other.event;
    if (other === clip || device !== clip.event.device || body.type !== "clip_ready") return false;
    return triggerIds(body).includes(trigger_event_id) && startOf(other) < startOf(clip);
  });
}

/** @param {EventGroup} a @param {EventGroup} b */
function isOneRun(a, b) {
  if (!isMotion(a) || !isMotion(b)) return false;
  return a.told.event.device === b.told.event.device && dayOf(a.told) === dayOf(b.told);
}

/** A movement, or what goes on from the clip of one. @param {EventGroup} happening */
function isMotion({ kind, others }) {
  if (kind !== "clip_ready") return kind === "motion";
  return others.length > 0 && others.every(({ event }) => event.body.type === "motion");
}

/** @param {ReportedEvent} told */
function dayOf(told) {
  return new Date(whenOf(told).ms).setHours(0, 0, 0, 0);
}

/**
 * Returns the events that set a clip off, oldest first, as far as they are known.
 * @param {ReportedEvent[]} history @param {ReportedEvent} clip
 */
export function triggersOf(history, clip) {
  const ids = triggerIds(/** @type {ClipReady} */ (clip.event.body));
  return history.filter(({ event }) => ids.includes(event.id)).reverse();
}

/**
 * Returns what is wrong at a door now, by what it told.
 * @param {ReportedEvent[]} history newest first
 * @param {string} device
 * @returns {ReportedEvent[]} troubles that have begun and aren't over
 */
export function troublesOf(history, device) {
  const latest = new Map();
  for (const told of history) {
    if (told.event.device !== device || told.event.body.type !== "trouble") continue;
    const { code } = told.event.body;
    // By number, not by time: a trouble may be told while the clock isn't set.
    if ((latest.get(code)?.event.seq ?? 0) < told.event.seq) latest.set(code, told);
  }
  return [...latest.values()].filter(({ event }) => !(/** @type {Trouble} */ (event.body).is_over));
}

/**
 * The press leads, or the first motion.
 * @param {ReportedEvent[]} group newest first @param {Map<string, ReportedEvent>} clips
 * @returns {EventGroup}
 */
function together(group, clips) {
  const inOrder = [...group].reverse();
  const told = inOrder.find(({ event }) => event.body.type === "pressed") ?? inOrder[0];
  return {
    kind: told.event.body.type === "pressed" ? "pressed" : "motion",
    told,
    others: inOrder.filter((other) => other !== told),
    clip: clips.get(told.event.id),
  };
}

/** @param {ReportedEvent} told */
function clipKey({ event: { device, body } }) {
  return body.type === "clip_ready" ? `${device}/${body.clip_id}` : null;
}

/** A trigger's own clip is the first of those that name it. @param {ReportedEvent[]} history newest first */
function clipsByTrigger(history) {
  /** @type {Map<string, ReportedEvent>} */
  const found = new Map();
  for (const told of history) {
    if (told.event.body.type !== "clip_ready") continue;
    for (const id of triggerIds(told.event.body)) found.set(id, told);
  }
  return found;
}

/** @param {ClipReady} clip */
function triggerIds({ trigger_event_id, more_trigger_ids = [] }) {
  return [trigger_event_id, ...more_trigger_ids];
}
