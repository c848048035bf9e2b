/**
 * A doorbell's health as facts, each with a name and a text of the catalog.
 *
 * What can't be known is left out. Figures are in the reader's language; there is no page here.
 * @module
 */
import { isBlind } from "./camera_states.js";
import { bytesText, durationText, momentText, timeText } from "./i18n.js";

/** @typedef {import("./vendor/protocol/documents.js").Health} Health */
/** @typedef {import("./vendor/protocol/documents.js").CameraState} CameraState */
/** @typedef {{name: string, text: string, values: Record<string, string | number>, isBad: boolean}} Fact */

/** A doorbell says how it is each minute; after this long, what it said is old. */
export const STALE_MS = 5 * 60_000;

const HOT_MILLI_C = 75_000; // from here on the doorbell takes fewer pictures
const SLOW_SYNC_MS = 500;
const SIGNAL_DBM = /** @type {const} */ ([
  [-60, "strong"],
  [-70, "good"],
  [-80, "weak"],
]);
/** @param {Health} health @returns {Fact[]} what to read first comes first */
export function factsOf(health) {
  return [
    ...camera(health),
    ...temperature(health),
    ...power(health),
    ...card(health),
    ...signal(health),
    clock(health),
    ...memory(health),
    clips(health),
    ...preRoll(health),
  ];
}

/** @param {Health} health */
function camera({ camera: state, fps_milli, max_fps, temperature_milli_c, gap_count, longest_gap_ms }) {
  const pictures = Math.round(fps_milli / 1000);
  if (state !== "working") return [fact("camera", `health.camera.${state}`, {}, isBlind(state))];
  const isHeld = (temperature_milli_c ?? 0) >= HOT_MILLI_C - 5000 && max_fps < 30;
  const limit = isHeld ? [fact("limit", "health.limit", { max: max_fps }, true)] : [];
  const skipped = { count: gap_count, longest: momentText(longest_gap_ms) };
  const gaps = gap_count ? [fact("gaps", "health.gaps", skipped, true)] : [];
  return [fact("camera", "health.camera.working", { pictures }), ...limit, ...gaps];
}

/** @param {Health} health */
function temperature({ temperature_milli_c: value, is_throttled }) {
  const facts = [];
  if (value !== null) {
    const isHot = value >= HOT_MILLI_C;
    const text = isHot ? "health.temperature.hot" : "health.temperature.fine";
    facts.push(fact("temperature", text, { degrees: Math.round(value / 1000) }, isHot));
  }
  if (is_throttled) facts.push(fact("processor", "health.throttled", {}, true));
  return facts;
}

/** @param {Health} health */
function power({ has_weak_power, had_weak_power }) {
  if (has_weak_power) return [fact("power", "health.power.weak", {}, true)];
  if (had_weak_power) return [fact("power", "health.power.was_weak", {}, true)];
  return has_weak_power === null ? [] : [fact("power", "health.power.fine")];
}

/** @param {Health} health */
function card({ card_free_bytes: free, card_total_bytes: total, sync_p99_ms: sync }) {
  const facts = [];
  if (free !== null && total !== null) {
    const values = { free: bytesText(free), total: bytesText(total) };
    facts.push(fact("card", "health.card", values));
  }
  if (sync !== null) {
    const isSlow = sync >= SLOW_SYNC_MS;
    const text = isSlow ? "health.saving.slow" : "health.saving.fine";
    facts.push(fact("saving", text, { ms: sync }, isSlow));
  }
  return facts;
}

/** @param {Health} health */
function signal({ signal_dbm: dbm }) {
  if (dbm === null) return [];
  const word = SIGNAL_DBM.find(([least]) => dbm >= least)?.[1] ?? "very_weak";
  return [fact("signal", `health.signal.${word}`, { dbm: String(dbm).replace("-", "−") }, word === "very_weak")];
}

/** @param {Health} health */
function clock({ is_clock_trusted }) {
  return fact("clock", is_clock_trusted ? "health.clock.set" : "health.clock.not_set", {}, !is_clock_trusted);
}

/** @param {Health} health */
function memory({ memory_free_bytes: free }) {
  return free === null ? [] : [fact("memory", "health.memory", { free: bytesText(free) })];
}

/** @param {Health} health */
function clips({ clip_count: count, oldest_clip_ms: oldest }) {
  if (count === 0 || oldest === null) return fact("clips", "health.clips.count", { count });
  return fact("clips", "health.clips.since", { count, day: timeText(oldest, "day") });
}

/** @param {Health} health */
function preRoll({ pre_roll_ms: least, pre_roll_set_ms: set }) {
  if (typeof least !== "number" || typeof set !== "number") return [];
  const duration = durationText(least - (least % 1000)); // rounded up, it could contradict itself
  if (least >= set) return [fact("before", "health.before.fine", { duration })];
  return [fact("before", "health.before.short", { duration, set: durationText(set) }, true)];
}

/**
 * @param {string} name @param {string} text
 * @param {Record<string, string | number>} [values] @param {boolean} [isBad]
 * @returns {Fact}
 */
function fact(name, text, values = {}, isBad = false) {
  return { name, text, values, isBad };
}
