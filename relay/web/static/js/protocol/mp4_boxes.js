/**
 * The box structure of an MP4 (ISO/IEC 14496-12 4.2), without the boxes' contents.
 * @module
 */
import { WireError } from "./encoding.js";

/** @typedef {{type: string, begin: number, end: number}} Box from the first byte after its header */

/** @param {DataView} view @returns {Box} */
export function whole(view) {
  return { type: "file", begin: 0, end: view.byteLength };
}

/** @param {DataView} view @param {Box} parent @returns {Box[]} */
export function children(view, parent) {
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
export function fourcc(view, position) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(position + i)));
}

/** @param {Box[]} boxes @param {string} type @returns {Box} */
export function only(boxes, type) {
  const found = boxes.filter((box) => box.type === type);
  if (found.length > 1) throw new WireError("the clip has two {type} boxes", { type }); // players may take either
  if (found.length === 0) throw new WireError("the clip has no {type} box", { type });
  return found[0];
}

/** @param {DataView} view @param {Box} parent @param {...string} path @returns {Box} */
export function descend(view, parent, ...path) {
  return path.reduce((box, type) => only(children(view, box), type), parent);
}

/** @param {DataView} view @param {Box} box */
export function fullBoxVersion(view, box) {
  return view.getUint8(box.begin);
}
