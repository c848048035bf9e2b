/**
 * The rotation of a film by its track's matrix (ISO/IEC 14496-12 8.3.2), as in
 * firmware/protocol/media/rotation.py: right angles, no more.
 * @module
 */
import { WireError } from "./encoding.js";
import { fullBoxVersion, uint32At } from "./mp4_boxes.js";

/** @typedef {import("./mp4_boxes.js").Box} Box */

const LAST = 1 << 30;
const ANGLES = /** @type {const} */ ([0, 90, 180, 270]);

/**
 * Returns by how many degrees clockwise a track header turns its track; throws if it does anything else.
 * @param {DataView} view @param {Box} tkhd @returns {0 | 90 | 180 | 270}
 */
export function rotationOf(view, tkhd) {
  const begin = fullBoxVersion(view, tkhd, 1) === 1 ? 52 : 40;
  const [width, height] = [uint32At(view, tkhd, begin + 36), uint32At(view, tkhd, begin + 40)].map((size) => size / 65_536);
  const numbers = Array.from({ length: 9 }, (_, place) => uint32At(view, tkhd, begin + 4 * place) | 0);
  const found = ANGLES.find((angle) => String(matrixOf(angle, width, height)) === String(numbers));
  const isWhole = Number.isInteger(width) && Number.isInteger(height) && width < 32_768 && height < 32_768;
  if (found === undefined || !isWhole) throw new WireError("the clip is turned or stretched");
  return found;
}

/** @param {0 | 90 | 180 | 270} angle @param {number} width of the coded pictures @param {number} height */
function matrixOf(angle, width, height) {
  const [a, b, c, d, x, y] = {
    0: [1, 0, 0, 1, 0, 0],
    90: [0, 1, -1, 0, height, 0],
    180: [-1, 0, 0, -1, width, height],
    270: [0, -1, 1, 0, 0, width],
  }[angle].map((number) => number * 65_536);
  return [a, b, 0, c, d, 0, x, y, LAST];
}
