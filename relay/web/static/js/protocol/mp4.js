/**
 * The reader of a plain MP4's pictures and sound (ISO/IEC 14496-12, -14, -15), as in
 * firmware/protocol/media/mp4.py.
 *
 * Only what a Doorward clip needs: one H.264 track, 4-byte NAL lengths, samples in presentation
 * order, and at most one AAC track. Nothing here is trusted: what comes out is hashed and compared
 * with the signed manifest. Times are those at which a player shows and plays it, so an edit that
 * shifts a track gives other hashes, and what has more tracks than these is refused.
 *
 * The index is read whole and bounded, pictures and sound one by one: memory is bounded by the
 * index and the largest single sample, whatever the file claims.
 * @module
 */
import { WireError, hex } from "./encoding.js";
import { isKeyFrame, splitLengthPrefixed } from "./footage.js";
import { byteAt, children, descend, fileBoxes, first, fourcc, fullBoxVersion, only, uint32At, whole } from "./mp4_boxes.js";
import { rotationOf } from "./mp4_rotation.js";
import { SampleTable } from "./mp4_samples.js";

/** @typedef {import("./footage.js").AccessUnit} AccessUnit */
/** @typedef {import("./footage.js").SoundUnit} SoundUnit */
/** @typedef {import("./mp4_boxes.js").Box} Box */
/** @typedef {{timescale: () => number, table: SampleTable, stbl: Box, tkhd: () => Box, trak: Box}} Track */
/** @typedef {{duration: number, begin: number}} Edit so long (movie's time) from this moment on (track's time); -1: nothing is shown */

const CLOCK_HZ = 90_000;
const NORMAL_RATE = 1 << 16;
const MAX_EDITS = 2;
/** The moov box; that of ten minutes with sound has about one MiB. */
const MAX_INDEX_BYTES = 8 * 1024 * 1024;
/** So much is read ahead: a file is asked for each megabyte, not for each picture. */
const WINDOW_BYTES = 1024 * 1024;
/** AudioSpecificConfig (14496-3 1.6.2.1): AAC-LC, 48 kHz, one channel; the longer one adds that there is no SBR. */
const AUDIO_CONFIGS = ["1188", "118856e500"];
const OBJECT_TYPE_AAC = 0x40;

/** Reads a file's index and checks its tables. @param {Blob} file @returns {Promise<Mp4>} */
export async function readMp4(file) {
  const boxes = await fileBoxes(file);
  const { begin, end } = only(boxes, "moov");
  if (end - begin > MAX_INDEX_BYTES) {
    throw new WireError("the clip's index is larger than {most} bytes", { most: MAX_INDEX_BYTES });
  }
  return new Mp4(file, boxes, new DataView(await file.slice(begin, end).arrayBuffer()));
}

/** A plain MP4 whose index and sample tables hold together. */
export class Mp4 {
  /** @param {Blob} file @param {Box[]} boxes the file's own @param {DataView} view the index */
  constructor(file, boxes, view) {
    this.file = file;
    this.boxes = boxes;
    this.view = view;
    this.moov = whole(view);
    /** @type {Map<string, Track>} */
    this.tracks = new Map();
    this.#findTracks();
  }

  get hasSound() {
    return this.tracks.has("soun");
  }

  /** The movie's ticks a second, which edits are counted in. */
  get movieTimescale() {
    return timescaleOf(this.view, descend(this.view, this.moov, "mvhd"));
  }

  /** By how many degrees clockwise a player turns the pictures. @returns {0 | 90 | 180 | 270} */
  get rotation() {
    return rotationOf(this.view, /** @type {Track} */ (this.tracks.get("vide")).tkhd());
  }

  /** Returns a track's edit list, restricted to forms that clips use. @param {Box} trak @returns {Edit[]} */
  edits(trak) {
    return editsOf(this.view, trak);
  }

  /** The access units, each read when it is asked for; `pts_90k` counts from the clip's begin. @returns {AsyncGenerator<AccessUnit>} */
  async *pictures() {
    const film = /** @type {Track} */ (this.tracks.get("vide"));
    checkSampleEntry(this.view, descend(this.view, film.stbl, "stsd"));
    for await (const { pts_90k, data } of this.#read(film)) {
      const nal_units = splitLengthPrefixed(data);
      yield { pts_90k, is_key: isKeyFrame(nal_units), nal_units };
    }
  }

  /** The units of the sound, if there is any. The first lies before the clip's begin. @returns {AsyncGenerator<SoundUnit>} */
  async *sound() {
    const sound = this.tracks.get("soun");
    if (sound === undefined) return;
    checkSoundEntry(this.view, descend(this.view, sound.stbl, "stsd"));
    yield* this.#read(sound);
  }

  /** When each picture is shown, from the clip's begin. @returns {number[]} */
  pictureTimes() {
    return Array.from(this.#placed(/** @type {Track} */ (this.tracks.get("vide"))), ({ pts_90k }) => pts_90k);
  }

  #findTracks() {
    const { view, moov } = this;
    for (const trak of children(view, moov).filter((box) => box.type === "trak")) {
      const mdia = descend(view, trak, "mdia");
      const hdlr = descend(view, mdia, "hdlr");
      uint32At(view, hdlr, 8);
      const handler = fourcc(view, hdlr.begin + 8);
      if (!["vide", "soun"].includes(handler) || this.tracks.has(handler)) {
        throw new WireError("the clip has more in it than one film and its sound");
      }
      const stbl = descend(view, mdia, "minf", "stbl");
      this.tracks.set(handler, {
        timescale: () => timescaleOf(view, descend(view, mdia, "mdhd")),
        table: /** @type {SampleTable} */ (/** @type {unknown} */ (null)),
        stbl,
        tkhd: () => descend(view, trak, "tkhd"),
        trak,
      });
    }
    if (!this.tracks.has("vide")) throw new WireError("the clip has no video");
    for (const track of this.tracks.values()) track.table = new SampleTable(view, track.stbl, this.file.size);
    this.#checkMedia();
  }

  /** No sample of one track lies where one of the other does, and each lies in the media data. */
  #checkMedia() {
    const media = this.boxes.filter((box) => box.type === "mdat");
    let [last, place] = [0, 0];
    for (const { begin, end } of merged([...this.tracks.values()].map(({ table }) => table.chunks()))) {
      if (begin < last) throw new WireError("samples of the clip overlap, or don't lie in order");
      while (place < media.length && begin >= media[place].end) place += 1;
      const mdat = media[place];
      if (mdat === undefined || begin < mdat.begin || end > mdat.end) {
        throw new WireError("a sample of the clip lies outside its media data");
      }
      last = end;
    }
  }

  /** @param {Track} track */
  *#placed(track) {
    const timescale = track.timescale();
    const shown = shownFirst(editsOf(this.view, track.trak), timescale, this.movieTimescale);
    for (const { begin, size_bytes, dts } of track.table.samples()) {
      yield { begin, size_bytes, pts_90k: Math.round(((dts - shown) * CLOCK_HZ) / timescale) };
    }
  }

  /** @param {Track} track */
  async *#read(track) {
    let window = new Uint8Array();
    let from = 0;
    for (const { begin, size_bytes, pts_90k } of this.#placed(track)) {
      if (begin < from || begin + size_bytes > from + window.length) {
        from = begin;
        window = new Uint8Array(await this.file.slice(begin, begin + Math.max(WINDOW_BYTES, size_bytes)).arrayBuffer());
      }
      yield { pts_90k, data: window.subarray(begin - from, begin - from + size_bytes) };
    }
  }
}

/** Yields the chunks of all tracks in the order of the file, if each track's are. @param {Generator<{begin: number, end: number}>[]} tracks */
function* merged(tracks) {
  const next = tracks.map((chunks) => chunks.next().value);
  for (;;) {
    let least = -1;
    next.forEach((chunk, place) => {
      if (chunk && (least < 0 || chunk.begin < (next[least]?.begin ?? 0))) least = place;
    });
    const chunk = next[least];
    if (!chunk) return;
    yield chunk;
    next[least] = tracks[least].next().value;
  }
}

/**
 * Returns which moment of a track is shown at the clip's begin (14496-12 8.6.6), in its timescale.
 *
 * A track that begins later than the clip has an empty edit first, counted in the movie's time.
 * @param {Edit[]} edits @param {number} timescale @param {number} movieTimescale
 */
function shownFirst(edits, timescale, movieTimescale) {
  let waits = 0;
  if (edits.length === 2 && edits[0].begin === -1) {
    waits = (edits[0].duration * timescale) / movieTimescale;
    edits.shift();
  }
  if (edits.length === 0) return 0;
  if (edits.length > 1 || edits[0].begin < 0) {
    throw new WireError("the clip was cut or shifted by its edit list");
  }
  return edits[0].begin - waits;
}

/** @param {DataView} view @param {Box} trak @returns {Edit[]} */
function editsOf(view, trak) {
  const edts = first(children(view, trak), "edts");
  if (edts === undefined) return [];
  const elst = only(children(view, edts), "elst");
  const isLong = fullBoxVersion(view, elst, 1) === 1;
  const count = uint32At(view, elst, 4);
  const edits = [];
  for (let i = 0; i < Math.min(count, MAX_EDITS); i += 1) {
    const at = 8 + i * (isLong ? 20 : 12);
    uint32At(view, elst, at + (isLong ? 16 : 8));
    edits.push({
      duration: isLong ? Number(view.getBigUint64(elst.begin + at)) : view.getUint32(elst.begin + at),
      begin: isLong ? Number(view.getBigInt64(elst.begin + at + 8)) : view.getInt32(elst.begin + at + 4),
    });
    if (view.getInt32(elst.begin + at + (isLong ? 16 : 8)) !== NORMAL_RATE) {
      throw new WireError("the clip was cut or shifted by its edit list");
    }
  }
  if (count > MAX_EDITS) throw new WireError("the clip was cut or shifted by its edit list");
  return edits;
}

/** The ticks a second of an mvhd or mdhd box. @param {DataView} view @param {Box} header */
function timescaleOf(view, header) {
  const timescale = uint32At(view, header, fullBoxVersion(view, header, 1) === 1 ? 20 : 12);
  if (timescale === 0) throw new WireError("the clip counts its time in no unit");
  return timescale;
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
  const stream = descriptor(view, { ...esds, begin: esds.begin + 4 }, 0x03);
  const decoder = descriptor(view, { ...stream, begin: stream.begin + 3 }, 0x04);
  const { begin, end } = descriptor(view, { ...decoder, begin: decoder.begin + 13 }, 0x05);
  if (byteAt(view, decoder, 0) !== OBJECT_TYPE_AAC) return "";
  return hex(new Uint8Array(view.buffer, view.byteOffset + begin, end - begin));
}

/**
 * Finds where a descriptor's content lies; its size comes seven bits a byte (14496-1 8.3.3).
 * @param {DataView} view @param {Box} box that begins with it @param {number} tag @returns {Box}
 */
function descriptor(view, box, tag) {
  if (byteAt(view, box, 0) !== tag) throw new WireError("the clip's sound isn't described as it must be");
  let [size, last] = [0, 0];
  for (let isMore = true; isMore && last < 4; ) {
    last += 1;
    const byte = byteAt(view, box, last);
    size = (size << 7) | (byte & 0x7f);
    isMore = (byte & 0x80) !== 0;
  }
  const begin = box.begin + last + 1;
  if (begin + size > box.end) throw new WireError("the clip's sound isn't described as it must be");
  return { type: "", begin, end: begin + size };
}

/** @param {DataView} view @param {Box} stsd */
function checkSampleEntry(view, stsd) {
  const entry = children(view, { ...stsd, begin: stsd.begin + 8 })[0];
  if (entry === undefined || !["avc1", "avc3"].includes(entry.type)) {
    throw new WireError("the clip's video isn't H.264");
  }
  const avcC = only(children(view, { ...entry, begin: entry.begin + 78 }), "avcC");
  if ((byteAt(view, avcC, 4) & 3) !== 3) {
    throw new WireError("the clip's NAL units don't have 4-byte lengths");
  }
}
