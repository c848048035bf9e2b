/**
 * Polygons with whole corners, as in firmware/protocol/polygons.py: self-crossing and containment.
 * What a doorbell decides by them it computes exactly; here they only say beforehand what it will.
 * @module
 */

/** @typedef {import("./documents.js").MaskPolygon} MaskPolygon */
/** @typedef {readonly [number, number]} Point */

const NEAR = 1e-9;

/** Tells whether an outline encloses an area and neither crosses nor touches itself. @param {MaskPolygon} corners */
export function isSimple(corners) {
  const edges = edgesOf(corners);
  const count = edges.length;
  if (count < 3 || edges.some(([[ax, ay], [bx, by]]) => ax === bx && ay === by)) return false;
  for (let index = 0; index < count; index += 1) {
    const [start, end] = edges[index];
    const next = edges[(index + 1) % count][1];
    if (turn(start, end, next) === 0 && isBack(start, end, next)) return false;
    for (let other = index + 2; other < count; other += 1) {
      if ((other + 1) % count !== index && touch(edges[index], edges[other])) return false;
    }
  }
  return true;
}

/** Tells whether a simple polygon covers another wholly: the other's outline never leaves it. @param {MaskPolygon} outer @param {MaskPolygon} inner */
export function covers(outer, inner) {
  const edges = edgesOf(outer);
  return edgesOf(inner).every(([start, end]) => {
    const at = [...new Set([0, 1, ...crossings([start, end], edges)])].toSorted((a, b) => a - b);
    const middles = at.slice(1).map((to, index) => (to + at[index]) / 2);
    return [...at, ...middles].every((part) => isIn(along(start, end, part), edges));
  });
}

/** @param {MaskPolygon} corners @returns {[Point, Point][]} */
function edgesOf(corners) {
  return corners.map((corner, index) => [corner, corners[(index + 1) % corners.length]]);
}

/** Twice the signed area of a triangle: 0 if the three are on one line. @param {Point} a @param {Point} b @param {Point} c */
function turn(a, b, c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/** @param {Point} a @param {Point} b @param {Point} c */
function isBack(a, b, c) {
  return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) < 0;
}

/** Whether a point on the line through a and b is on the edge. @param {Point} a @param {Point} b @param {Point} p */
function isBetween(a, b, p) {
  const within = (/** @type {0 | 1} */ axis) => Math.min(a[axis], b[axis]) - NEAR <= p[axis] && p[axis] <= Math.max(a[axis], b[axis]) + NEAR;
  return within(0) && within(1);
}

/** @param {[Point, Point]} one @param {[Point, Point]} other */
function touch([a, b], [c, d]) {
  const turns = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
  const isAcross = turns[0] > 0 !== turns[1] > 0 && turns[2] > 0 !== turns[3] > 0;
  if (isAcross && !turns.includes(0)) return true;
  /** @type {[Point, Point, Point][]} */
  const ends = [[a, b, c], [a, b, d], [c, d, a], [c, d, b]];
  return ends.some((end, index) => turns[index] === 0 && isBetween(...end));
}

/** Where along an edge, 0 to 1, it may meet the others. @param {[Point, Point]} edge @param {[Point, Point][]} edges */
function crossings([a, b], edges) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const found = edges.flatMap(([c, d]) => {
    const [ex, ey] = [d[0] - c[0], d[1] - c[1]];
    const across = dx * ey - dy * ex;
    if (across !== 0) return [((c[0] - a[0]) * ey - (c[1] - a[1]) * ex) / across];
    if (turn(a, b, c) !== 0) return [];
    return [c, d].map((p) => ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy));
  });
  return found.filter((part) => part >= 0 && part <= 1);
}

/** @param {Point} a @param {Point} b @param {number} part @returns {Point} */
function along(a, b, part) {
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
}

/** @param {Point} point @param {[Point, Point][]} edges */
function isIn(point, edges) {
  let isInside = false;
  for (const [a, b] of edges) {
    const turned = turn(a, b, point);
    if (Math.abs(turned) < 1e-6 && isBetween(a, b, point)) return true;
    if (a[1] > point[1] !== b[1] > point[1] && turned > 0 === b[1] > a[1]) isInside = !isInside;
  }
  return isInside;
}
