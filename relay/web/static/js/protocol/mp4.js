/**
 * Reads access units and sound out of an MP4, plain or fragmented (ISO/IEC 14496-12, -14, -15).
 *
 * Only what a Doorward clip needs: one H.264 track, 4-byte NAL lengths, and at most one AAC
 * track. Nothing here is trusted: what comes out is hashed and compared with the signed manifest.
 * Times are those at which a player shows and plays it, so an edit that shifts a track gives other
 * hashes, and what has more tracks than these is refused.
 * @module
 */
import { WireError, hex } from "./encoding.js";
import { isKeyFrame, splitLengthPrefixed } from "./footage.js";

/** @typedef {import("./footage.js").AccessUnit} AccessUnit */
/** @typedef {import("./footage.js").SoundUnit} SoundUnit */
/** @typedef {{type: string, begin: number, end: number}} Box from the first byte after its header */
/** @typedef {{position: number, size_bytes: number, pts: number}} Sample `pts` in the track's timescale */
/** @typedef {{duration: number, size: number}} Defaults */
/** @typedef {{id: number, timescale: number, begin: number, stbl: Box, tkhd: Box, trak: Box}} Track `begin` is shown at the clip's begin */
/** @typedef {{duration: number, begin: number}} Edit so long (movie's time) from this moment on (track's time); -1: nothing is shown */

const CLOCK_HZ = 90_000;
const MAX_SAMPLES = 200_000;
const NORMAL_RATE = 1 << 16;
const MAX_EDITS = 2;
/** AudioSpecificConfig (14496-3 1.6.2.1): AAC-LC, 48 kHz, one channel; the longer one adds that there is no SBR. */
const AUDIO_CONFIGS = ["1188", "118856e500"];
const OBJECT_TYPE_AAC = 0x40;

/**
 * Returns the access units of the film; `pts_90k` counts from the clip's begin.
 * @param {Uint8Array} file
 * @returns {AccessUnit[]}
 */
export function accessUnits(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const film = /** @type {Track} */ (tracks(view).get("vide"));
  checkSampleEntry(view, descend(view, film.stbl, "stsd"));
  return samplesOf(file, view, film).map(({ pts_90k, data }) => {
    const nal_units = splitLengthPrefixed(data);
    return { pts_90k, is_key: isKeyFrame(nal_units), nal_units };
  });
}

/**
 * Returns the units of the sound, or null if the clip has none. The first lies before its begin.
 * @param {Uint8Array} file
 * @returns {SoundUnit[] | null}
 */
export function soundUnits(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const sound = tracks(view).get("soun");
  if (sound === undefined) return null;
  checkSoundEntry(view, descend(view, sound.stbl, "stsd"));
  return samplesOf(file, view, sound);
}

/** @param {Uint8Array} file @param {DataView} view @param {Track} track */
function samplesOf(file, view, track) {
  const boxes = children(view, whole(view));
  const moov = only(boxes, "moov");
  const samples = [
    ...plainSamples(view, track.stbl),
    ...fragmentSamples(view, boxes, track.id, trackDefaults(view, moov, track.id)),
  ];
  if (samples.length === 0 || track.timescale === 0) throw new WireError("a track of the clip is empty");
  return samples.map(({ position, size_bytes, pts }) => {
    const data = file.subarray(position, position + size_bytes);
    if (data.length !== size_bytes) throw new WireError("the clip is cut off");
    return { pts_90k: Math.round(((pts - track.begin) * CLOCK_HZ) / track.timescale), data };
  });
}

/** @param {DataView} view @returns {Box} */
function whole(view) {
  return { type: "file", begin: 0, end: view.byteLength };
}

/** @param {DataView} view @param {Box} parent @returns {Box[]} */
function children(view, parent) {
  const boxes = [];
  let position = parent.begin;
  while (position + 8 <= parent.end) {
    let size = view.getUint32(position);
    let header = 8;
    if (size === 1) {
      size = Number(view.getBigUint64(position + 8));
      header = 16;
    } else if (size === 0) {
      size = parent.end - position;
    }
    if (size < header || position + size > parent.end) throw new WireError("a box of the clip is cut off");
    boxes.push({ type: fourcc(view, position + 4), begin: position + header, end: position + size });
    position += size;
  }
  return boxes;
}

/** @param {DataView} view @param {number} position */
function fourcc(view, position) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(position + i)));
}

/** @param {Box[]} boxes @param {string} type @returns {Box} */
function only(boxes, type) {
  const found = boxes.filter((box) => box.type === type);
  if (found.length > 1) throw new WireError(`the clip has two ${type} boxes`); // players may take either
  if (found.length === 0) throw new WireError(`the clip has no ${type} box`);
  return found[0];
}

/** @param {DataView} view @param {Box} parent @param {...string} path @returns {Box} */
function descend(view, parent, ...path) {
  return path.reduce((box, type) => only(children(view, box), type), parent);
}

/** @param {DataView} view @param {Box} box */
function fullBoxVersion(view, box) {
  return view.getUint8(box.begin);
}

/**
 * Returns the one film and, if there is one, the one sound, by their handlers.
 * @param {DataView} view
 */
function tracks(view) {
  const moov = only(children(view, whole(view)), "moov");
  /** @type {Map<string, Track>} */
  const found = new Map();
  for (const trak of children(view, moov).filter((box) => box.type === "trak")) {
    const mdia = descend(view, trak, "mdia");
    const handler = fourcc(view, descend(view, mdia, "hdlr").begin + 8);
    if (!["vide", "soun"].includes(handler) || found.has(handler)) {
      throw new WireError("the clip has more in it than one film and its sound");
    }
    const tkhd = descend(view, trak, "tkhd");
    const mdhd = descend(view, mdia, "mdhd");
    const timescale = view.getUint32(mdhd.begin + (fullBoxVersion(view, mdhd) === 1 ? 20 : 12));
    found.set(handler, {
      id: view.getUint32(tkhd.begin + (fullBoxVersion(view, tkhd) === 1 ? 20 : 12)),
      timescale,
      begin: shownFirst(view, trak, timescale, movieTimescaleOf(view, children(view, moov))),
      stbl: descend(view, mdia, "minf", "stbl"),
      tkhd,
      trak,
    });
  }
  if (!found.has("vide")) throw new WireError("the clip has no video");
  return found;
}

/**
 * Returns which moment of a track is shown at the clip's begin (14496-12 8.6.6), in its timescale.
 *
 * A track that begins later than the clip has an empty edit first, counted in the movie's time.
 * @param {DataView} view @param {Box} trak @param {number} timescale @param {number} movieTimescale
 */
function shownFirst(view, trak, timescale, movieTimescale) {
  const edits = editsOf(view, trak);
  let waits = 0;
  if (edits.length === 2 && edits[0].begin === -1 && movieTimescale > 0) {
    waits = (edits[0].duration * timescale) / movieTimescale;
    edits.shift();
  }
  if (edits.length === 0) return 0;
  if (edits.length > 1 || edits[0].begin < 0) {
    throw new WireError("the clip was cut or shifted by its edit list");
  }
  return edits[0].begin - waits;
}

/**
 * Returns what a track's edit list says, as far as any clip's may go.
 * @param {DataView} view @param {Box} trak @returns {Edit[]}
 */
export function editsOf(view, trak) {
  const edts = children(view, trak).find((box) => box.type === "edts");
  if (edts === undefined) return [];
  const elst = only(children(view, edts), "elst");
  const isLong = fullBoxVersion(view, elst) === 1;
  const count = view.getUint32(elst.begin + 4);
  const edits = [];
  for (let i = 0; i < Math.min(count, MAX_EDITS); i += 1) {
    const at = elst.begin + 8 + i * (isLong ? 20 : 12);
    edits.push({
      duration: isLong ? Number(view.getBigUint64(at)) : view.getUint32(at),
      begin: isLong ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4),
    });
    if (view.getInt32(at + (isLong ? 16 : 8)) !== NORMAL_RATE) {
      throw new WireError("the clip was cut or shifted by its edit list");
    }
  }
  if (count > MAX_EDITS) throw new WireError("the clip was cut or shifted by its edit list");
  return edits;
}

/**
 * Returns the boxes that the file itself is made of; `usertype` in hex, of a uuid box.
 * @param {Uint8Array} file
 */
export function topBoxes(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  return children(view, whole(view)).map((box) => ({
    ...box,
    usertype: box.type === "uuid" ? hex(file.subarray(box.begin, box.begin + 16)) : "",
  }));
}

/**
 * Returns what a player is told by the index, for whoever looks at what is never hashed.
 * @param {Uint8Array} file
 */
export function index(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const moov = only(children(view, whole(view)), "moov");
  const inside = children(view, moov);
  const found = tracks(view);
  return {
    view,
    mvhd: only(inside, "mvhd"),
    hasMvex: inside.some((box) => box.type === "mvex"),
    timescale: movieTimescaleOf(view, inside),
    tracks: found,
    stsd: descend(view, /** @type {Track} */ (found.get("vide")).stbl, "stsd"),
    children: (/** @type {Box} */ box) => children(view, box),
  };
}

/** @param {DataView} view @param {Box[]} inside the index */
function movieTimescaleOf(view, inside) {
  const mvhd = only(inside, "mvhd");
  return view.getUint32(mvhd.begin + (fullBoxVersion(view, mvhd) === 1 ? 20 : 12));
}

/** @param {DataView} view @param {Box} stsd */
function checkSoundEntry(view, stsd) {
  const entry = children(view, { ...stsd, begin: stsd.begin + 8 })[0];
  const esds =
    entry?.type === "mp4a" ? only(children(view, { ...entry, begin: entry.begin + 28 }), "esds") : null;
  if (esds === null || !AUDIO_CONFIGS.includes(audioConfig(view, esds))) {
    throw new WireError("the clip's sound isn't AAC-LC, mono, 48 kHz");
  }
}

/**
 * Returns what a player is told of the sound, in hex; nothing if it isn't AAC (14496-1 7.2.6.5 to 7.2.6.7).
 * @param {DataView} view @param {Box} esds
 */
function audioConfig(view, esds) {
  const stream = descriptor(view, esds.begin + 4, 0x03);
  const decoder = descriptor(view, stream.begin + 3, 0x04);
  if (view.getUint8(decoder.begin) !== OBJECT_TYPE_AAC) return "";
  const { begin, end } = descriptor(view, decoder.begin + 13, 0x05);
  return hex(new Uint8Array(view.buffer, view.byteOffset + begin, end - begin));
}

/**
 * Finds where a descriptor's content lies; its size comes seven bits a byte (14496-1 8.3.3).
 * @param {DataView} view @param {number} at @param {number} tag
 */
function descriptor(view, at, tag) {
  if (view.getUint8(at) !== tag) throw new WireError("the clip's sound isn't described as it must be");
  let [size, begin] = [0, at + 1];
  for (let isMore = true; isMore && begin <= at + 4; begin += 1) {
    const byte = view.getUint8(begin);
    size = (size << 7) | (byte & 0x7f);
    isMore = (byte & 0x80) !== 0;
  }
  return { begin, end: begin + size };
}

/** @param {DataView} view @param {Box} stsd */
function checkSampleEntry(view, stsd) {
  const entry = children(view, { ...stsd, begin: stsd.begin + 8 })[0];
  if (entry === undefined || !["avc1", "avc3"].includes(entry.type)) {
    throw new WireError("the clip's video isn't H.264");
  }
  const avcC = only(children(view, { ...entry, begin: entry.begin + 78 }), "avcC");
  if ((view.getUint8(avcC.begin + 4) & 3) !== 3) {
    throw new WireError("the clip's NAL units don't have 4-byte lengths");
  }
}

/** @param {DataView} view @param {Box} stbl @returns {Sample[]} */
function plainSamples(view, stbl) {
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
function trackDefaults(view, moov, trackId) {
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
function fragmentSamples(view, boxes, trackId, defaults) {
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
