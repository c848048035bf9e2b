/**
 * The notice of an emergency request: shown once, with a sound of its own, calm and short.
 * @module
 */
import { isFirstTime } from "./account.js";
import { nowMs } from "./town_time.js";

/** @typedef {import("./decision_notes.js").Match} Match */
/** @typedef {import("./household.js").Household} Household */

/** One that was told longer ago is read in the list, and not called for. */
const FRESH_MS = 3600 * 1000;
const NOTES_HZ = [523.25, 392];
const NOTE_S = 0.45;
const LOUDNESS = 0.12;

/**
 * Calls back for each emergency that a doorbell just told of, at most once in this browser.
 * @param {Household} household @param {AbortSignal} signal @param {(match: Match) => void} onEmergency
 */
export function followEmergencies(household, signal, onEmergency) {
  const matched = (/** @type {Event} */ event) => {
    const fresh = /** @type {Match[]} */ (/** @type {CustomEvent} */ (event).detail);
    for (const match of fresh) {
      const isNow = match.is_emergency && nowMs() - match.told_ms < FRESH_MS;
      if (isNow && isFirstTime(match.request_digest)) onEmergency(match);
    }
  };
  household.addEventListener("matched", matched, { signal });
}

/** Two soft notes, downwards: nothing that rings or alarms. Silent where the browser wants a press first. */
export async function playCalmly() {
  const context = new AudioContext();
  try {
    const begin_s = context.currentTime + 0.05;
    NOTES_HZ.forEach((hz, number) => playNote(context, hz, begin_s + number * NOTE_S));
    await new Promise((done) => setTimeout(done, NOTES_HZ.length * NOTE_S * 1000 + 500));
  } finally {
    await context.close();
  }
}

/** @param {AudioContext} context @param {number} hz @param {number} at_s */
function playNote(context, hz, at_s) {
  const tone = new OscillatorNode(context, { type: "sine", frequency: hz });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, at_s);
  gain.gain.linearRampToValueAtTime(LOUDNESS, at_s + 0.05);
  gain.gain.linearRampToValueAtTime(0, at_s + NOTE_S);
  tone.connect(gain).connect(context.destination);
  tone.start(at_s);
  tone.stop(at_s + NOTE_S);
}
