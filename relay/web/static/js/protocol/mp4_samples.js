/**
 * Positions and times of an MP4 track's samples: by its tables (plain), or by its fragments.
 * @module
 */
import { WireError } from "./encoding.js";
import { children, fullBoxVersion, only } from "./mp4_boxes.js";

/** @typedef {import("./mp4_boxes.js").Box} Box */
/** @typedef {{position: number, size_bytes: number, pts: number}} Sample `pts` in the track's timescale */
/** @typedef {{duration: number, size: number}} Defaults */

const MAX_SAMPLES = 200_000;

/** @param {DataView} view @param {Box} stbl @returns {Sample[]} */
export function plainSamples(view, stbl) {
  const boxes = children(view, stbl);
  const sizes = sampleSizes(view, only(boxes, "stsz"));
  if (sizes.length === 0) return [];
  const positions = samplePositions(view, boxes, sizes);
  const durations = runLengths(view, only(boxes, "stts"), sizes.length);
  const ctts = boxes.find((box) => box.type === "ctts");
  const offsets = ctts === undefined ? [] : runLengths(view, ctts, sizes.length);
  let dts = 0;
  return sizes.map((size_bytes, i) => {
    const pts = dts + (offsets[i] ?? 0);
    dts += durations[i] ?? 0;
    return { position: positions[i], size_bytes, pts };
  });
}

/** @param {DataView} view @param {Box} stsz @returns {number[]} */
function sampleSizes(view, stsz) {
  const same = view.getUint32(stsz.begin + 4);
  const count = view.getUint32(stsz.begin + 8);
  if (count > MAX_SAMPLES) throw new WireError("the clip has too many pictures");
  return Array.from({ length: count }, (_, i) => same || view.getUint32(stsz.begin + 12 + 4 * i));
}

/**
 * Expands stts or ctts into one value a sample (ctts version 1 is signed).
 * @param {DataView} view @param {Box} box @param {number} limit
 */
function runLengths(view, box, limit) {
  const isSigned = box.type === "ctts" && fullBoxVersion(view, box) === 1;
  /** @type {number[]} */
  const values = [];
  const count = view.getUint32(box.begin + 4);
  for (let i = 0; i < count && values.length < limit; i += 1) {
    const at = box.begin + 8 + 8 * i;
    const value = isSigned ? view.getInt32(at + 4) : view.getUint32(at + 4);
    for (let n = view.getUint32(at); n > 0 && values.length < limit; n -= 1) values.push(value);
  }
  return values;
}

/** @param {DataView} view @param {Box[]} boxes @param {number[]} sizes */
function samplePositions(view, boxes, sizes) {
  const chunks = chunkPositions(view, boxes);
  const stsc = only(boxes, "stsc");
  const runs = Array.from({ length: view.getUint32(stsc.begin + 4) }, (_, i) => ({
    first_chunk: view.getUint32(stsc.begin + 8 + 12 * i) - 1,
    samples: view.getUint32(stsc.begin + 12 + 12 * i),
  }));
  /** @type {number[]} */
  const positions = [];
  let run = 0;
  chunks.forEach((chunk, index) => {
    while (run + 1 < runs.length && runs[run + 1].first_chunk <= index) run += 1;
    let position = chunk;
    for (let n = runs[run]?.samples ?? 0; n > 0 && positions.length < sizes.length; n -= 1) {
      position += sizes[positions.push(position) - 1];
    }
  });
  if (positions.length !== sizes.length) throw new WireError("the clip's sample table doesn't add up");
  return positions;
}

/** @param {DataView} view @param {Box[]} boxes @returns {number[]} */
function chunkPositions(view, boxes) {
  const stco = boxes.find((box) => box.type === "stco");
  const table = stco ?? only(boxes, "co64");
  return Array.from({ length: view.getUint32(table.begin + 4) }, (_, i) =>
    stco ? view.getUint32(table.begin + 8 + 4 * i) : Number(view.getBigUint64(table.begin + 8 + 8 * i)),
  );
}

/** @param {DataView} view @param {Box} moov @param {number} trackId @returns {Defaults} */
export function trackDefaults(view, moov, trackId) {
  const mvex = children(view, moov).find((box) => box.type === "mvex");
  const trex = mvex && children(view, mvex).find(
    (box) => box.type === "trex" && view.getUint32(box.begin + 4) === trackId,
  );
  if (!trex) return { duration: 0, size: 0 };
  return { duration: view.getUint32(trex.begin + 12), size: view.getUint32(trex.begin + 16) };
}

/**
 * @param {DataView} view @param {Box[]} boxes @param {number} trackId @param {Defaults} defaults
 * @returns {Sample[]}
 */
export function fragmentSamples(view, boxes, trackId, defaults) {
  /** @type {Sample[]} */
  const samples = [];
  let dts = 0;
  for (const moof of boxes.filter((box) => box.type === "moof")) {
    for (const traf of children(view, moof).filter((box) => box.type === "traf")) {
      const parts = children(view, traf);
      const header = fragmentHeader(view, only(parts, "tfhd"), moof, defaults);
      if (header.trackId !== trackId) continue;
      const tfdt = parts.find((box) => box.type === "tfdt");
      if (tfdt !== undefined) dts = decodeTime(view, tfdt);
      let position = header.base;
      for (const trun of parts.filter((box) => box.type === "trun")) {
        [dts, position] = readRun(view, trun, header, dts, position, samples);
      }
    }
  }
  return samples;
}

/** @param {DataView} view @param {Box} tfdt */
function decodeTime(view, tfdt) {
  const isLong = fullBoxVersion(view, tfdt) === 1;
  return isLong ? Number(view.getBigUint64(tfdt.begin + 4)) : view.getUint32(tfdt.begin + 4);
}

/** @param {DataView} view @param {Box} tfhd @param {Box} moof @param {Defaults} defaults */
function fragmentHeader(view, tfhd, moof, defaults) {
  const flags = view.getUint32(tfhd.begin) & 0xffffff;
  const header = { trackId: view.getUint32(tfhd.begin + 4), base: moof.begin - 8, ...defaults };
  let position = tfhd.begin + 8;
  if (flags & 0x01) {
    header.base = Number(view.getBigUint64(position));
    position += 8;
  }
  if (flags & 0x02) position += 4;
  if (flags & 0x08) {
    header.duration = view.getUint32(position);
    position += 4;
  }
  if (flags & 0x10) header.size = view.getUint32(position);
  return header;
}

/**
 * Appends one track run's samples; returns where the next continues: [dts, position].
 * @param {DataView} view @param {Box} trun @param {Defaults & {base: number}} header
 * @param {number} dts @param {number} position @param {Sample[]} samples
 * @returns {[number, number]}
 */
function readRun(view, trun, header, dts, position, samples) {
  const flags = view.getUint32(trun.begin) & 0xffffff;
  const isSigned = fullBoxVersion(view, trun) === 1;
  const count = view.getUint32(trun.begin + 4);
  let at = trun.begin + 8;
  const field = (/** @type {number} */ flag, /** @type {number} */ otherwise, signed = false) => {
    if (!(flags & flag)) return otherwise;
    at += 4;
    return signed ? view.getInt32(at - 4) : view.getUint32(at - 4);
  };
  const offset = field(0x01, NaN, true);
  if (!Number.isNaN(offset)) position = header.base + offset;
  field(0x04, 0);
  for (let i = 0; i < count; i += 1) {
    if (samples.length >= MAX_SAMPLES) throw new WireError("the clip has too many pictures");
    const duration = field(0x100, header.duration);
    const size_bytes = field(0x200, header.size);
    field(0x400, 0);
    const shift = field(0x800, 0, isSigned);
    samples.push({ position, size_bytes, pts: dts + shift });
    dts += duration;
    position += size_bytes;
  }
  return [dts, position];
}
