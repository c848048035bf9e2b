/**
 * Checks of an MP4's display metadata, as in relay/verify/display_checks.py.
 * @module
 */
import { hex } from "../../static/js/protocol/encoding.js";
import { editsOf, index, topBoxes } from "../../static/js/protocol/mp4.js";
import { must } from "./document_reader.js";

/** @typedef {import("../../static/js/protocol/mp4.js").Box} Box */
/** @typedef {import("../../static/js/protocol/footage.js").AccessUnit} AccessUnit */

const KINDS = ["ftyp", "moov", "mdat", "free", "uuid"];
const DESCRIBES = ["avcC", "btrt", "pasp", "colr"];
const UNTURNED = "000100000000000000000000000000000001000000000000000000000000000040000000";
const CLOCK_HZ = 90_000;

/**
 * Throws if a player would be told to show the film other than it is.
 * @param {Uint8Array} file @param {AccessUnit[]} units @param {{width: number, height: number}} size
 */
export function checkShown(file, units, { width, height }) {
  for (const { type } of topBoxes(file)) must(KINDS.includes(type), "the clip has a box that it mustn't have: {type}", { type });
  const { view, mvhd, stsd, tracks, hasMvex, timescale, children } = index(file);
  must(!hasMvex, "the clip is made to go on with more pictures");
  const bytes = (/** @type {Box} */ box, /** @type {number} */ from, /** @type {number} */ size) =>
    hex(file.subarray(box.begin + from, box.begin + from + size));
  const header = view.getUint8(mvhd.begin) === 1 ? 32 : 20;
  const isNormal = bytes(mvhd, header, 4) === "00010000" && bytes(mvhd, header + 16, 36) === UNTURNED;
  must(isNormal, "the clip is turned, stretched or played at another speed");
  for (const { tkhd } of tracks.values()) {
    must(bytes(tkhd, view.getUint8(tkhd.begin) === 1 ? 52 : 40, 36) === UNTURNED, "the clip is turned or stretched");
    must(view.getUint8(tkhd.begin + 3) & 1, "a track of the clip is switched off");
  }
  const film = /** @type {import("../../static/js/protocol/mp4.js").Track} */ (tracks.get("vide"));
  const shownAt = film.tkhd.begin + (view.getUint8(film.tkhd.begin) === 1 ? 88 : 76);
  const isShown = view.getUint32(shownAt) === width * 65_536 && view.getUint32(shownAt + 4) === height * 65_536;
  must(isShown, "the clip is shown in another size than it was recorded in");
  const entries = children({ ...stsd, begin: stsd.begin + 8 });
  must(entries.length === 1, "the clip's video has more than one description");
  const [entry] = entries;
  const isCoded = view.getUint16(entry.begin + 24) === width && view.getUint16(entry.begin + 26) === height;
  must(isCoded, "the clip is shown in another size than it was recorded in");
  const inside = children({ ...entry, begin: entry.begin + 78 });
  const types = inside.map((box) => box.type);
  const isPlain = types.every((type) => DESCRIBES.includes(type)) && new Set(types).size === types.length;
  must(isPlain, "the clip's video is described in more ways than it must be");
  const pasp = inside.find((box) => box.type === "pasp");
  must(pasp === undefined || bytes(pasp, 0, 8) === "0000000100000001", "the clip is stretched");
  const own = new Set(units[0].nal_units.map(hex));
  const avcC = /** @type {Box} */ (inside.find((box) => box.type === "avcC"));
  must(parameterSets(file, avcC).every((set) => own.has(set)), "the clip's index brings other parameters than its pictures");
  const edits = editsOf(view, film.trak);
  const last = edits[edits.length - 1];
  const last_s = units[units.length - 1].pts_90k / CLOCK_HZ;
  must(last === undefined || last.duration / timescale > last_s, "the clip's edit list leaves out its end");
}

/** SPS and PPS (14496-15 5.3.3.1), without zeros at the end. @param {Uint8Array} file @param {Box} avcC */
function parameterSets(file, { begin }) {
  const found = [];
  let position = begin + 5;
  for (const mask of [0x1f, 0xff]) {
    const count = file[position] & mask;
    position += 1;
    for (let i = 0; i < count; i += 1) {
      const size = (file[position] << 8) | file[position + 1];
      found.push(hex(file.subarray(position + 2, position + 2 + size)).replace(/(00)+$/, ""));
      position += 2 + size;
    }
  }
  return found;
}
