/**
 * The sound of an emergency request's notice: calm and short.
 * @module
 */

const NOTES_HZ = [523.25, 392];
const NOTE_S = 0.45;
const LOUDNESS = 0.12;

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
