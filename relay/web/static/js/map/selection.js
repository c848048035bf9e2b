/**
 * A selection of whole map cells (H3, resolution 9) with a limit, and shapes that choose cells. What
 * may be chosen is area.js for a request, free_area.js for a jurisdiction. No page and no map here.
 * Which cells lie in a shape is decided as relay/agency/jurisdiction.py does; tests/vectors/areas.json
 * holds both to it.
 * @module
 */

/** @typedef {typeof import("../../vendor/h3.js")} H3 */
/** @typedef {[number, number]} Point latitude, longitude */
/** @typedef {"crosses" | "large" | "small" | "nothing" | "far"} Fault why nothing is chosen */
/** @typedef {{cells: string[], outside: string[], isTooMany: boolean, isTaking?: boolean, fault?: Fault}} Offer what a shape would choose, or take out */

export const RESOLUTION = 9;
const KM_PER_DEGREE = 111.32;
const CIRCLE_POINTS = 48;
/** Less than a square metre. */
const FLAT_DEGREES2 = 1e-10;
const MAX_UNDOS = 100;

/** What is chosen. Fires "change". */
export class Selection extends EventTarget {
  /** @param {H3} h3 @param {{most: number, maxShapeKm2: number}} limits a larger shape is never computed */
  constructor(h3, { most, maxShapeKm2 }) {
    super();
    this.h3 = h3;
    this.most = most;
    this.maxShapeKm2 = maxShapeKm2;
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {Set<string>[]} */
    this.before = [];
    /** @type {Map<string, number>} */
    this.sizes = new Map();
  }

  /** The cells that are chosen together with this one. @param {string} cell @returns {string[]} */
  groupOf(cell) {
    return [cell];
  }

  /** Where a cell is, in words: else its centre. @param {string} cell @returns {string} */
  nameOf(cell) {
    return this.centre(cell).map((degrees) => degrees.toFixed(4)).join(", ");
  }

  /** @param {string} _cell */
  isInside(_cell) {
    return true;
  }

  /** @param {string} cell @returns {"chosen" | "free" | "outside"} */
  stateOf(cell) {
    if (this.chosen.has(cell)) return "chosen";
    return this.isInside(cell) ? "free" : "outside";
  }

  /** What choosing these, too, would come to. @param {Iterable<string>} cells @returns {Offer} */
  offer(cells) {
    const all = [...new Set(cells)];
    const outside = all.filter((cell) => !this.isInside(cell));
    const inside = all.filter((cell) => this.isInside(cell));
    const whole = new Set(inside.flatMap((cell) => this.groupOf(cell)));
    const fresh = [...whole].filter((cell) => !this.chosen.has(cell));
    return { cells: fresh, outside, isTooMany: this.chosen.size + fresh.length > this.most };
  }

  /** What a shape would come to. @param {Point[]} ring @returns {Offer} */
  shapeOffer(ring) {
    const cells = this.cellsIn(ring);
    return cells === null ? faulty("large") : this.offer(cells);
  }

  /** Chooses these too: all that lie inside, or none if they are too many. @param {Iterable<string>} cells */
  add(cells) {
    return this.take(this.offer(cells));
  }

  /** @param {Point[]} ring */
  addShape(ring) {
    return this.take(this.shapeOffer(ring));
  }

  /** Does what was offered, if it can be done. @param {Offer} offer */
  take(offer) {
    if (offer.isTooMany || offer.cells.length === 0) return offer;
    this.remember();
    for (const cell of offer.cells) offer.isTaking ? this.chosen.delete(cell) : this.chosen.add(cell);
    this.changed();
    return offer;
  }

  /** What would be chosen then. @param {Offer} offer @returns {string[]} */
  after(offer) {
    if (!offer.isTaking) return [...this.chosen, ...offer.cells];
    const taken = new Set(offer.cells);
    return [...this.chosen].filter((cell) => !taken.has(cell));
  }

  /** Takes a cell out, and those that go with it. @param {string} cell */
  remove(cell) {
    this.remember();
    for (const one of this.groupOf(cell)) this.chosen.delete(one);
    this.changed();
  }

  /** @param {string} cell @returns {Offer} */
  toggle(cell) {
    if (!this.chosen.has(cell)) return this.add([cell]);
    this.remove(cell);
    return { cells: [], outside: [], isTooMany: false };
  }

  clear() {
    this.remember();
    this.chosen.clear();
    this.changed();
  }

  get canUndo() {
    return this.before.length > 0;
  }

  undo() {
    const last = this.before.pop();
    if (last === undefined) return;
    this.chosen = last;
    this.changed();
  }

  remember() {
    this.before.push(new Set(this.chosen));
    if (this.before.length > MAX_UNDOS) this.before.shift();
  }

  /** @param {Iterable<string>} cells in square kilometres */
  km2(cells = this.chosen) {
    return [...cells].reduce((sum, cell) => sum + this.sizeOf(cell), 0);
  }

  /** @param {string} cell @returns {number} */
  sizeOf(cell) {
    const known = this.sizes.get(cell) ?? this.h3.cellArea(cell, "km2");
    this.sizes.set(cell, known);
    return known;
  }

  /** The cells around one, with their compass direction. @param {string} cell */
  neighbours(cell) {
    const from = this.centre(cell);
    const ring = this.h3.gridDisk(cell, 1).filter((/** @type {string} */ one) => one !== cell);
    return ring
      .map((/** @type {string} */ one) => ({ cell: one, degrees: bearing(from, this.centre(one)) }))
      .sort((/** @type {{degrees: number}} */ a, /** @type {{degrees: number}} */ b) => a.degrees - b.degrees);
  }

  /** @param {string} cell @returns {Point} */
  centre(cell) {
    return this.h3.cellToLatLng(cell);
  }

  /** @param {string} text */
  isCell(text) {
    return /^89[0-9a-f]{13}$/.test(text) && this.h3.isValidCell(text);
  }

  /** @param {Point} point */
  cellAt([lat, lon]) {
    return this.h3.latLngToCell(lat, lon, RESOLUTION);
  }

  /** The cells whose centre lies in a shape; null if it is far too large. @param {Point[]} ring @returns {string[] | null} */
  cellsIn(ring) {
    if (boxKm2(ring) > this.maxShapeKm2) return null;
    return isFlat(ring) ? [] : this.h3.polygonToCells(ring, RESOLUTION); // H3 refuses lines
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {Fault} fault @returns {Offer} */
export function faulty(fault) {
  return { cells: [], outside: [], isTooMany: false, fault };
}

/** A rectangle between two corners. @param {Point} a @param {Point} b @returns {Point[]} */
export function rectangle([a, b], [c, d]) {
  return [[a, b], [a, d], [c, d], [c, b]];
}

/** A circle around a centre, through another point. @param {Point} centre @param {Point} edge @returns {Point[]} */
export function circle(centre, edge) {
  const [lat, lon] = centre;
  const squeeze = Math.cos((lat * Math.PI) / 180) || 1e-9;
  const radius = Math.hypot(edge[0] - lat, (edge[1] - lon) * squeeze);
  return Array.from({ length: CIRCLE_POINTS }, (_, index) => {
    const angle = (2 * Math.PI * index) / CIRCLE_POINTS;
    return /** @type {Point} */ ([lat + radius * Math.cos(angle), lon + (radius * Math.sin(angle)) / squeeze]);
  });
}

/** Whether an outline crosses itself; to touch is no crossing (as relay/agency/geojson.py). @param {Point[]} ring */
export function crosses(ring) {
  const sides = ring.map((point, index) => /** @type {const} */ ([point, ring[(index + 1) % ring.length]]));
  return sides.some(([a, b], index) =>
    sides.slice(index + 1).some(([c, d]) => turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0),
  );
}

/** @param {Point[]} ring @returns {Point} */
export function middle(ring) {
  const sum = ring.reduce(([a, b], [lat, lon]) => [a + lat, b + lon], [0, 0]);
  return [sum[0] / ring.length, sum[1] / ring.length];
}

/** On which side of the line from `a` to `b` lies `c`: 1, -1, or 0 on it. @param {Point} a @param {Point} b @param {Point} c */
function turn(a, b, c) {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
}

/** Whether a shape has no inside: its corners lie on a line (the shoelace formula). @param {Point[]} ring */
function isFlat(ring) {
  const twice = ring.reduce((sum, [lat, lon], index) => {
    const [nextLat, nextLon] = ring[(index + 1) % ring.length];
    return sum + lat * nextLon - nextLat * lon;
  }, 0);
  return Math.abs(twice) < FLAT_DEGREES2;
}

/** The size of the box around a shape. @param {Point[]} ring */
function boxKm2(ring) {
  const [lats, lons] = [ring.map(([lat]) => lat), ring.map(([, lon]) => lon)];
  const [south, north] = [Math.min(...lats), Math.max(...lats)];
  const width = (Math.max(...lons) - Math.min(...lons)) * KM_PER_DEGREE;
  const squeeze = Math.cos((((south + north) / 2) * Math.PI) / 180);
  return (north - south) * KM_PER_DEGREE * width * Math.max(squeeze, 0.01);
}

/** Degrees clockwise from north. @param {Point} from @param {Point} to */
function bearing([lat, lon], [toLat, toLon]) {
  const east = (toLon - lon) * Math.cos((lat * Math.PI) / 180);
  return ((Math.atan2(east, toLat - lat) * 180) / Math.PI + 360) % 360;
}
