/**
 * Checks of an MP4's display metadata, as in relay/verify/display_checks.py.
 * @module
 */
import { hex } from "../../static/js/protocol/encoding.js";
import { byteAt, children, descend, first, fullBoxVersion, only, uint32At } from "../../static/js/protocol/mp4_boxes.js";
import { rotationOf } from "../../static/js/protocol/mp4_rotation.js";
import { must } from "./document_reader.js";

/** @typedef {import("../../static/js/protocol/mp4.js").Mp4} Mp4 */
/** @typedef {import("../../static/js/protocol/mp4.js").Track} Track */
/** @typedef {import("../../static/js/protocol/mp4_boxes.js").Box} Box */
/** @typedef {{width: number, height: number, rotation: number, created_1904_s: number}} Told what a player may be told; created 0: nothing of when it was recorded */

const KINDS = ["ftyp", "moov", "mdat", "free", "uuid"];
const DESCRIBES = ["avcC", "btrt", "pasp", "colr"];
const UNTURNED = "000100000000000000000000000000000001000000000000000000000000000040000000";
const CLOCK_HZ = 90_000;

/** Throws if a player would be told to show the film other than it is. @param {Mp4} mp4 @param {Told} told */
export async function checkShown(mp4, told) {
  const { value: unit } = await mp4.pictures().next();
  checkIndex(mp4, new Set(unit?.nal_units.map(hex)), told);
  checkTimes(mp4, [0, told.created_1904_s]);
}

/** @param {Mp4} mp4 @param {Set<string>} own what the first picture brings, in hex @param {Told} told */
function checkIndex(mp4, own, { width, height, rotation }) {
  const { view, moov } = mp4;
  for (const { type } of mp4.boxes) must(KINDS.includes(type), "the clip has a box that it mustn't have: {type}", { type });
  const index = children(view, moov);
  must(first(index, "mvex") === undefined, "the clip is made to go on with more pictures");
  const bytes = (/** @type {Box} */ box, /** @type {number} */ from, /** @type {number} */ size_bytes) => {
    byteAt(view, box, from + size_bytes - 1);
    return hex(new Uint8Array(view.buffer, view.byteOffset + box.begin + from, size_bytes));
  };
  const mvhd = only(index, "mvhd");
  const header = fullBoxVersion(view, mvhd, 1) === 1 ? 32 : 20;
  const isNormal = bytes(mvhd, header, 4) === "00010000" && bytes(mvhd, header + 16, 36) === UNTURNED;
  must(isNormal, "the clip is turned, stretched or played at another speed");
  for (const [handler, track] of mp4.tracks) {
    const tkhd = track.tkhd();
    must(rotationOf(view, tkhd) === (handler === "vide" ? rotation : 0), "the clip is turned or stretched");
    must(byteAt(view, tkhd, 3) & 1, "a track of the clip is switched off");
  }
  const film = /** @type {Track} */ (mp4.tracks.get("vide"));
  const tkhd = film.tkhd();
  const shownAt = fullBoxVersion(view, tkhd, 1) === 1 ? 88 : 76;
  const isShown = uint32At(view, tkhd, shownAt) === width * 65_536 && uint32At(view, tkhd, shownAt + 4) === height * 65_536;
  must(isShown, "the clip is shown in another size than it was recorded in");
  const stsd = descend(view, film.stbl, "stsd");
  const entries = children(view, { ...stsd, begin: stsd.begin + 8 });
  must(entries.length === 1, "the clip's video has more than one description");
  const [entry] = entries;
  const isCoded = uint32At(view, entry, 24) === width * 65_536 + height;
  must(isCoded, "the clip is shown in another size than it was recorded in");
  const inside = children(view, { ...entry, begin: entry.begin + 78 });
  const types = inside.map((box) => box.type);
  const isPlain = types.every((type) => DESCRIBES.includes(type)) && new Set(types).size === types.length;
  must(isPlain, "the clip's video is described in more ways than it must be");
  const pasp = first(inside, "pasp");
  must(pasp === undefined || bytes(pasp, 0, 8) === "0000000100000001", "the clip is stretched");
  const sets = parameterSets(view, only(inside, "avcC"));
  must(sets.every((set) => own.has(set)), "the clip's index brings other parameters than its pictures");
  const last = mp4.edits(film.trak).at(-1);
  const last_s = (mp4.pictureTimes().at(-1) ?? 0) / CLOCK_HZ;
  must(last === undefined || last.duration / mp4.movieTimescale > last_s, "the clip's edit list leaves out its end");
}

/** The creation and modification times of the movie and its tracks (14496-12 8.2.2). @param {Mp4} mp4 @param {number[]} known */
function checkTimes({ view, moov, tracks }, known) {
  const headers = [descend(view, moov, "mvhd")];
  for (const { tkhd, trak } of tracks.values()) headers.push(tkhd(), descend(view, trak, "mdia", "mdhd"));
  for (const header of headers) {
    const words = byteAt(view, header, 0) === 1 ? [[4, 8], [12, 16]] : [[4], [8]];
    for (const places of words) {
      const time = places.reduce((value, at) => value * 2 ** 32 + uint32At(view, header, at), 0);
      must(known.includes(time), "the clip says that it was made at another time than was signed");
    }
  }
}

/** SPS and PPS (14496-15 5.3.3.1), without zeros at the end. @param {DataView} view @param {Box} avcC */
function parameterSets(view, avcC) {
  const found = [];
  let position = 5;
  for (const mask of [0x1f, 0xff]) {
    const count = byteAt(view, avcC, position) & mask;
    position += 1;
    for (let i = 0; i < count; i += 1) {
      const size = (byteAt(view, avcC, position) << 8) | byteAt(view, avcC, position + 1);
      if (size > 0) byteAt(view, avcC, position + 1 + size);
      const set = new Uint8Array(view.buffer, view.byteOffset + avcC.begin + position + 2, size);
      found.push(hex(set).replace(/(00)+$/, ""));
      position += 2 + size;
    }
  }
  return found;
}
