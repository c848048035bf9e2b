/**
 * Draws the app's PNG icons from the mark: one path of straight lines, stroked with round ends.
 *
 * What is drawn is a distance to the path, so that there is nothing to install and every machine
 * draws the same picture. Curves aren't understood: a mark that has some is refused.
 */
import { crc32, deflateSync } from "node:zlib";

/** @typedef {[number, number]} Point */
/** @typedef {{points: Point[], width: number, size: number}} Mark in the SVG's own units */
/** @typedef {[number, number, number, number]} Colour red, green, blue, alpha */

const PAPER = /** @type {Colour} */ ([0xfa, 0xf8, 0xf3, 255]);
const GREEN = /** @type {Colour} */ ([0x1d, 0x5b, 0x43, 255]);
const WHITE = /** @type {Colour} */ ([255, 255, 255, 255]);
const NOTHING = /** @type {Colour} */ ([255, 255, 255, 0]);
const PNG_SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/**
 * Each icon by name: `share` of it is the mark's; a maskable one keeps to the middle, since a
 * phone cuts its edges off; of a badge a phone takes only the shape.
 * @type {Record<string, {size: number, share: number, line: Colour, ground: Colour}>}
 */
export const ICONS = {
  "icon-180.png": { size: 180, share: 0.72, line: GREEN, ground: PAPER },
  "icon-192.png": { size: 192, share: 0.8, line: GREEN, ground: PAPER },
  "icon-512.png": { size: 512, share: 0.8, line: GREEN, ground: PAPER },
  "maskable-192.png": { size: 192, share: 0.56, line: PAPER, ground: GREEN },
  "maskable-512.png": { size: 512, share: 0.56, line: PAPER, ground: GREEN },
  "badge-96.png": { size: 96, share: 0.92, line: WHITE, ground: NOTHING },
};

/** @param {string} svg the mark's file @returns {Mark} */
export function readMark(svg) {
  const [, size] = /viewBox="0 0 (\d+) \1"/.exec(svg) ?? [];
  const [, path] = /<path d="([^"]+)"/.exec(svg) ?? [];
  const [, width] = /stroke-width="([\d.]+)"/.exec(svg) ?? [];
  if (!size || !path || !width) throw new Error("the mark isn't one stroked path in a square");
  return { points: pointsOf(path), width: Number(width), size: Number(size) };
}

/** @param {Mark} mark @param {string} name @returns {Uint8Array} a PNG file */
export function drawIcon(mark, name) {
  const { size, share, line, ground } = ICONS[name];
  const scale = (size * share) / mark.size;
  const offset = (size - mark.size * scale) / 2;
  const rows = new Uint8Array(size * (1 + size * 4));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const at = /** @type {Point} */ ([(x + 0.5 - offset) / scale, (y + 0.5 - offset) / scale]);
      const inside = (mark.width / 2 - distance(at, mark.points)) * scale + 0.5;
      const covered = Math.min(1, Math.max(0, inside));
      const mixed = ground.map((value, i) => Math.round(value + (line[i] - value) * covered));
      rows.set(mixed, y * (1 + size * 4) + 1 + x * 4);
    }
  }
  return png(size, rows);
}

/** @param {string} path of M, L, H and V, absolute @returns {Point[]} */
function pointsOf(path) {
  /** @type {Point[]} */
  const points = [];
  let [x, y] = [0, 0];
  for (const [, letter, numbers] of path.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const values = numbers.trim().split(/[\s,]+/).map(Number);
    if (letter === "H") x = values[0];
    else if (letter === "V") y = values[0];
    else if (letter === "M" || letter === "L") [x, y] = values;
    else throw new Error(`the mark has a "${letter}", which isn't a straight line`);
    points.push([x, y]);
  }
  return points;
}

/** @param {Point} at @param {Point[]} points */
function distance(at, points) {
  let least = Infinity;
  for (let i = 1; i < points.length; i += 1) least = Math.min(least, toSegment(at, points[i - 1], points[i]));
  return least;
}

/** @param {Point} at @param {Point} from @param {Point} to */
function toSegment([x, y], [fromX, fromY], [toX, toY]) {
  const [dx, dy] = [toX - fromX, toY - fromY];
  const along = ((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy);
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(x - fromX - share * dx, y - fromY - share * dy);
}

/** @param {number} size @param {Uint8Array} rows each with its filter's byte (0) in front */
function png(size, rows) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, size);
  header.setUint32(4, size);
  header.setUint8(8, 8); // bits a colour
  header.setUint8(9, 6); // red, green, blue, alpha
  const chunks = [
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ];
  return Buffer.concat([PNG_SIGNATURE, ...chunks]);
}

/** @param {string} type @param {Uint8Array} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
