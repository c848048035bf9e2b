/**
 * A recorder of a few seconds from this browser's microphone, into the WAV format that a doorbell
 * accepts: mono, 16 bits, 48 kHz. The microphone is open only while it records.
 * @module
 */
import { askForMicrophone } from "./microphone.js";

export const LONGEST_MS = 5000;
const SAMPLE_RATE = 48_000;
const HEADER_BYTES = 44;
const LOOK_EVERY_MS = 50;
const WISHES = { echoCancellation: false, noiseSuppression: true, autoGainControl: true };

export class Recording {
  /**
   * @param {MediaStream} stream of the microphone
   * @param {(level: number, ms: number) => void} onLevel how loud it is now, 0 to 1, and how long it is
   */
  constructor(stream, onLevel) {
    this.stream = stream;
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(stream).connect(analyser);
    this.recorder = new MediaRecorder(stream);
    /** @type {Blob[]} */
    this.parts = [];
    this.recorder.addEventListener("dataavailable", ({ data }) => this.parts.push(data));
    this.ended = new Promise((resolve) => this.recorder.addEventListener("stop", resolve, { once: true }));
    const startedMs = performance.now();
    this.recorder.start();
    this.timer = setInterval(() => {
      const ms = performance.now() - startedMs;
      onLevel(levelOf(analyser), Math.min(ms, LONGEST_MS));
      if (ms >= LONGEST_MS) this.stop();
    }, LOOK_EVERY_MS);
  }

  /** Asks for the microphone and begins. Throws NoMicrophone. @param {(level: number, ms: number) => void} onLevel */
  static async begin(onLevel) {
    return new Recording(await askForMicrophone(navigator.mediaDevices, WISHES), onLevel);
  }

  /** Ends it; `wav` then has it. May be called twice. */
  stop() {
    clearInterval(this.timer);
    if (this.recorder.state !== "inactive") this.recorder.stop();
    this.stream.getTracks().forEach((track) => track.stop());
  }

  /** Waits for the end and returns the WAV file. */
  async wav() {
    await this.ended;
    clearInterval(this.timer);
    this.stream.getTracks().forEach((track) => track.stop()); // it may have been unplugged
    await this.context.close();
    const recorded = await new Blob(this.parts, { type: this.recorder.mimeType }).arrayBuffer();
    const decoder = new OfflineAudioContext(1, 1, SAMPLE_RATE);
    return wavOf(mono(await decoder.decodeAudioData(recorded)), SAMPLE_RATE);
  }
}

/**
 * Writes a WAV file (RIFF, PCM) of at most LONGEST_MS.
 * @param {Float32Array} samples from -1 to 1 @param {number} rate
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function wavOf(samples, rate) {
  const count = Math.min(samples.length, Math.floor((rate * LONGEST_MS) / 1000));
  const data = new Uint8Array(HEADER_BYTES + count * 2);
  const view = new DataView(data.buffer);
  const text = (/** @type {number} */ at, /** @type {string} */ word) => data.set(new TextEncoder().encode(word), at);
  text(0, "RIFF");
  view.setUint32(4, data.length - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, count * 2, true);
  for (let at = 0; at < count; at += 1) {
    const sample = Math.max(-1, Math.min(1, samples[at]));
    view.setInt16(HEADER_BYTES + at * 2, Math.round(sample * 32_767), true);
  }
  return data;
}

/** @param {AudioBuffer} sound */
function mono(sound) {
  const count = sound.numberOfChannels;
  const channels = Array.from({ length: count }, (_, n) => sound.getChannelData(n));
  if (count === 1) return channels[0];
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / count);
}

/** @param {AnalyserNode} analyser */
function levelOf(analyser) {
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  return Math.min(1, wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
}
