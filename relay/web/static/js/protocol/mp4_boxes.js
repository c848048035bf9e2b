/**
 * The box structure of an MP4 (ISO/IEC 14496-12 4.2), as in firmware/protocol/media/boxes.py.
 *
 * A file's own boxes are found without reading what is in them; the index is small, and read whole.
 * @module
 */
import { WireError } from "./encoding.js";

/** @typedef {{type: string, begin: number, end: number}} Box from the first byte after its header */

/** Boxes in a file or in another box; a clip has about a dozen. */
const MAX_BOXES = 256;
const HEADER_BYTES = 8;
const LONG_HEADER_BYTES = 16;

/** Returns a file's own boxes. @param {Blob} file @returns {Promise<Box[]>} */
export async function fileBoxes(file) {
  /** @type {Box[]} */
  const boxes = [];
  for (let position = 0; position < file.size; ) {
    const head = new DataView(await file.slice(position, position + LONG_HEADER_BYTES).arrayBuffer());
    const { type, header, size } = boxHeader(head, 0, head.byteLength, file.size - position);
    boxes.push({ type, begin: position + header, end: position + size });
    checkCount(boxes.length);
    position += size;
  }
  return boxes;
}

/** @param {DataView} view @returns {Box} */
export function whole(view) {
  return { type: "file", begin: 0, end: view.byteLength };
}

/** @param {DataView} view @param {Box} parent @returns {Box[]} */
export function children(view, parent) {
  /** @type {Box[]} */
  const boxes = [];
  for (let position = parent.begin; position < parent.end; ) {
    const left = parent.end - position;
    const { type, header, size } = boxHeader(view, position, left, left);
    boxes.push({ type, begin: position + header, end: position + size });
    checkCount(boxes.length);
    position += size;
  }
  return boxes;
}

/**
 * Returns a box's type, and the sizes of its header and of all of it.
 * @param {DataView} view @param {number} at @param {number} readable bytes from there on @param {number} left bytes that the box may take
 */
function boxHeader(view, at, readable, left) {
  if (readable < HEADER_BYTES) throw new WireError("a box of the clip is cut off");
  let size = view.getUint32(at);
  let header = HEADER_BYTES;
  if (size === 0) throw new WireError("a box of the clip has no size");
  if (size === 1) {
    if (readable < LONG_HEADER_BYTES) throw new WireError("a box of the clip is cut off");
    size = Number(view.getBigUint64(at + HEADER_BYTES));
    header = LONG_HEADER_BYTES;
  }
  if (size < header || size > left) throw new WireError("a box of the clip is cut off");
  return { type: fourcc(view, at + 4), header, size };
}

/** @param {number} count */
function checkCount(count) {
  if (count > MAX_BOXES) throw new WireError("the clip has more than {most} boxes in one place", { most: MAX_BOXES });
}

/** @param {DataView} view @param {number} position */
export function fourcc(view, position) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(position + i)));
}

/** @param {Box[]} boxes @param {string} type @returns {Box | undefined} of two, players may take either */
export function first(boxes, type) {
  const found = boxes.filter((box) => box.type === type);
  if (found.length > 1) throw new WireError("the clip has two {type} boxes", { type });
  return found[0];
}

/** @param {Box[]} boxes @param {string} type @returns {Box} */
export function only(boxes, type) {
  const found = first(boxes, type);
  if (found === undefined) throw new WireError("the clip has no {type} box", { type });
  return found;
}

/** @param {DataView} view @param {Box} parent @param {...string} path @returns {Box} */
export function descend(view, parent, ...path) {
  return path.reduce((box, type) => only(children(view, box), type), parent);
}

/**
 * Returns the version of a box that begins with one; a later one has its fields elsewhere.
 * @param {DataView} view @param {Box} box @param {number} newest
 */
export function fullBoxVersion(view, box, newest) {
  const version = byteAt(view, box, 0);
  if (version > newest) throw new WireError("the clip's {type} box is of a later version", { type: box.type });
  return version;
}

/** @param {DataView} view @param {Box} box @param {number} at */
export function byteAt(view, box, at) {
  return view.getUint8(inside(box, at, 1));
}

/** @param {DataView} view @param {Box} box @param {number} at */
export function uint32At(view, box, at) {
  return view.getUint32(inside(box, at, 4));
}

/** @param {Box} box @param {number} at @param {number} size_bytes */
function inside(box, at, size_bytes) {
  if (box.begin + at + size_bytes > box.end) throw new WireError("the clip's index is cut off");
  return box.begin + at;
}
