/**
 * Reader of an MP4's access units and sound, plain or fragmented (ISO/IEC 14496-12, -14, -15).
 *
 * Only what a Doorward clip needs: one H.264 track, 4-byte NAL lengths, and at most one AAC
 * track. Nothing here is trusted: what comes out is hashed and compared with the signed manifest.
 * Times are those at which a player shows and plays it, so an edit that shifts a track gives other
 * hashes, and what has more tracks than these is refused.
 * @module
 */
import { WireError, hex } from "./encoding.js";
import { isKeyFrame, splitLengthPrefixed } from "./footage.js";
import { children, descend, fourcc, fullBoxVersion, only, whole } from "./mp4_boxes.js";
import { fragmentSamples, plainSamples, trackDefaults } from "./mp4_samples.js";

/** @typedef {import("./footage.js").AccessUnit} AccessUnit */
/** @typedef {import("./footage.js").SoundUnit} SoundUnit */
/** @typedef {import("./mp4_boxes.js").Box} Box */
/** @typedef {{id: number, timescale: number, begin: number, stbl: Box, tkhd: Box, trak: Box}} Track `begin` is shown at the clip's begin */
/** @typedef {{duration: number, begin: number}} Edit so long (movie's time) from this moment on (track's time); -1: nothing is shown */

const CLOCK_HZ = 90_000;
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
