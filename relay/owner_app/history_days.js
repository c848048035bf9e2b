/**
 * The history as days of this browser's own time zone: their bounds and hours, what of them is
 * shown, and what stands where on a day's line. A day may have 23 or 25 hours. No words, no page.
 * @module
 */
import { whenOf } from "./event_groups.js";

/** @typedef {import("./event_groups.js").EventGroup} EventGroup */
/** @typedef {import("./clip_choices.js").ClipChoices} ClipChoices */
/** @typedef {{group: EventGroup, ms: number}} Entry */
/** @typedef {{start: number, end: number, entries: Entry[]}} Day `end` is the next day's start; newest entry first */
/** @typedef {"ring" | "motion" | "kept" | "deleted"} Kind what is to be shown; labels of what moved will stand beside them */
/** @typedef {{kinds: Set<Kind>, device?: string}} Filter of no kinds: everything */
/** @typedef {{share: number, ms: number}} Mark where on the line, from 0 to 1 */

const STEP_MS = 30 * 60_000;

/** Returns the start of the local day of a moment. @param {number} ms */
export function dayStart(ms) {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** Returns the start of the day after. @param {number} start */
export function nextDay(start) {
  const date = new Date(start);
  date.setDate(date.getDate() + 1);
  return date.setHours(0, 0, 0, 0);
}

/**
 * Returns the days on which something is shown, newest first.
 * @param {EventGroup[]} groups newest first
 * @returns {Day[]}
 */
export function daysOf(groups) {
  /** @type {Day[]} */
  const days = [];
  for (const group of groups) {
    const { ms } = whenOf(group.told);
    let day = days.at(-1);
    if (day === undefined || ms < day.start) {
      const start = dayStart(ms);
      day = { start, end: nextDay(start), entries: [] };
      days.push(day);
    }
    day.entries.push({ group, ms });
  }
  return days;
}

/**
 * Returns the full hours of a day as they pass there, and where they stand: 23 or 25 of them where
 * clocks are changed.
 * @param {{start: number, end: number}} day
 */
export function hoursOf({ start, end }) {
  const hours = [];
  for (let ms = start; ms < end; ms += STEP_MS) {
    const date = new Date(ms);
    if (date.getMinutes() === 0) hours.push({ hour: date.getHours(), ms, share: (ms - start) / (end - start) });
  }
  return hours;
}

/** Where a moment stands on its day's line. @param {{start: number, end: number}} day @param {number} ms */
export function shareOf({ start, end }, ms) {
  return Math.min(1, Math.max(0, (ms - start) / (end - start)));
}

/** Returns the entry that is closest to a moment of a day. @param {Day} day @param {number} ms */
export function closestTo({ entries }, ms) {
  let closest = entries[0];
  for (const entry of entries) {
    if (Math.abs(entry.ms - ms) < Math.abs(closest.ms - ms)) closest = entry;
  }
  return closest;
}

/**
 * Returns what is shown. A deleted recording is, with what set it off, only where deleted ones are
 * asked for, and there as long as that can be undone.
 * @param {EventGroup[]} groups @param {Filter} filter @param {ClipChoices} choices @param {number} nowMs
 */
export function shownOf(groups, { kinds, device }, choices, nowMs) {
  const wanted = [...kinds].filter((kind) => kind === "ring" || kind === "motion");
  return groups.filter((group) => {
    if (device !== undefined && group.told.event.device !== device) return false;
    const { deleted, keptBy } = choiceOf(group, choices);
    if (deleted !== undefined) return kinds.has("deleted") && deleted.until_ms > nowMs;
    if (kinds.has("deleted")) return false;
    if (kinds.has("kept") && keptBy.length === 0) return false;
    return wanted.length === 0 || wanted.some((kind) => isOf(group, kind));
  });
}

/** @param {EventGroup} group @param {ClipChoices} choices */
export function choiceOf({ clip }, choices) {
  const body = clip?.event.body;
  if (clip === undefined || body?.type !== "clip_ready") return { keptBy: [] };
  return choices.of(clip.event.device, body.clip_id);
}

/** Whether a ring, or a movement, is in it. @param {EventGroup} group @param {"ring" | "motion"} kind */
export function isOf({ told, others }, kind) {
  const type = kind === "ring" ? "pressed" : "motion";
  return [told, ...others].some(({ event }) => event.body.type === type);
}

/** Returns the rings and the movements of a day, as marks on its line. @param {Day} day */
export function marksOf(day) {
  const mark = (/** @type {Entry} */ { ms }) => ({ ms, share: shareOf(day, ms) });
  const rings = day.entries.filter(({ group }) => isOf(group, "ring"));
  const motions = day.entries.filter(({ group }) => !isOf(group, "ring") && isOf(group, "motion"));
  return { rings: rings.map(mark), motions: motions.map(mark) };
}
