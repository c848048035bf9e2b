/**
 * Facts of a signed clip manifest, as texts of the page with their values.
 * @module
 */
import { NO_MASK_DIGEST, shownSize } from "../static/js/protocol/footage.js";

/** @typedef {import("../static/js/protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {{text: string, values: Record<string, string | number>, isOdd: boolean}} Fact */

const PER_SECOND_90K = 90_000;

/** Less silence than this isn't worth a line. */
const LITTLE_90K = PER_SECOND_90K / 10;

/**
 * @param {ClipManifest} manifest one that was checked
 * @param {{has_sound: boolean, is_sound_given?: boolean}} released whether it came with its sound, and whether that was given: a part can hold no whole piece of it
 * @returns {Fact[]} what is odd comes last
 */
export function factsOf(manifest, { has_sound, is_sound_given = has_sound }) {
  const { counter, started_ms, duration_90k, triggers, lost_units, gaps } = manifest;
  const [width, height] = shownSize(manifest);
  const facts = [
    fact("number", { counter }),
    fact("begun", { time: new Date(started_ms).toISOString().slice(0, 19).replace("T", " ") }),
    fact("size", { seconds: seconds(duration_90k), width, height }),
    ...triggers.map(({ kind, at_90k }) => fact(kind, { seconds: seconds(at_90k) })),
  ];
  const { sound } = manifest;
  const without = is_sound_given ? "no_sound_here" : "no_sound";
  if (sound !== undefined) facts.push(fact(has_sound ? "sound" : without, {}));
  if (!manifest.is_clock_trusted) facts.push(odd("clock"));
  if (manifest.ended === "cut_short") facts.push(odd("cut_short"));
  if (lost_units > 0) facts.push(odd("lost", { count: lost_units }));
  if (gaps !== undefined) facts.push(odd("gaps", { count: gaps.count, seconds: seconds(gaps.longest_90k) }));
  if (sound !== undefined && has_sound && sound.lost_90k >= LITTLE_90K) {
    facts.push(odd("silent", { seconds: seconds(sound.lost_90k) }));
  }
  if (manifest.mask_digest !== NO_MASK_DIGEST) facts.push(odd("masked"));
  return facts;
}

/** @param {number} ticks */
function seconds(ticks) {
  return (ticks / PER_SECOND_90K).toFixed(1);
}

/** @param {string} name @param {Record<string, string | number>} values @returns {Fact} */
function fact(name, values) {
  return { text: `fact.${name}`, values, isOdd: false };
}

/** @param {string} name @param {Record<string, string | number>} [values] @returns {Fact} */
function odd(name, values = {}) {
  return { text: `fact.${name}`, values, isOdd: true };
}
