/**
 * The area of a request: whole map cells (H3, resolution 9) inside the agency's jurisdiction, merged
 * ones together, no more than the limits allow (R3). No page and no map here. Which cells lie in a
 * shape is decided as relay/agency/jurisdiction.py does; tests/vectors/areas.json holds both to it.
 * @module
 */

/** @typedef {typeof import("../../vendor/h3.js")} H3 */
/** @typedef {{cells: string[], merged: string[][], max_cells: number}} Jurisdiction */
/** @typedef {[number, number]} Point latitude, longitude */
/** @typedef {{cells: string[], outside: string[], isTooMany: boolean}} Offer what a shape would choose */

export const RESOLUTION = 9;
/** So large a shape is never computed: a request's area is about one square kilometre. */
const MAX_SHAPE_KM2 = 60;
const KM_PER_DEGREE = 111.32;
const CIRCLE_POINTS = 48;
/** Less than a square metre. */
const FLAT_DEGREES2 = 1e-10;

/** What is chosen, and what may be. Fires "change". */
export class Area extends EventTarget {
  /** @param {H3} h3 @param {Jurisdiction} jurisdiction */
  constructor(h3, { cells, merged, max_cells }) {
    super();
    this.h3 = h3;
    this.most = max_cells;
    this.jurisdiction = cells;
    this.inside = new Set(cells);
    /** @type {Set<string>} */
    this.chosen = new Set();
    this.groups = new Map(merged.flatMap((group) => group.map((cell) => [cell, group])));
  }

  /** The cells that are asked for together with this one. @param {string} cell @returns {string[]} */
  groupOf(cell) {
    return this.groups.get(cell) ?? [cell];
  }

  /** @param {string} cell @returns {"chosen" | "free" | "outside"} */
  stateOf(cell) {
    if (this.chosen.has(cell)) return "chosen";
    return this.inside.has(cell) ? "free" : "outside";
  }

  /** What choosing these, too, would come to. @param {Iterable<string>} cells @returns {Offer} */
  offer(cells) {
    const all = [...new Set(cells)];
    const outside = all.filter((cell) => !this.inside.has(cell));
    const inside = all.filter((cell) => this.inside.has(cell));
    const whole = new Set(inside.flatMap((cell) => this.groupOf(cell)));
    const fresh = [...whole].filter((cell) => !this.chosen.has(cell));
    return { cells: fresh, outside, isTooMany: this.chosen.size + fresh.length > this.most };
  }

  /** Chooses these too: all that lie inside, or none if they are too many. @param {Iterable<string>} cells */
  add(cells) {
    const offer = this.offer(cells);
    if (!offer.isTooMany && offer.cells.length > 0) {
      for (const cell of offer.cells) this.chosen.add(cell);
      this.changed();
    }
    return offer;
  }

  /** Takes a cell out, and those that go with it. @param {string} cell */
  remove(cell) {
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
    this.chosen.clear();
    this.changed();
  }

  /** @param {Iterable<string>} cells in square kilometres */
  km2(cells = this.chosen) {
    return [...cells].reduce((sum, cell) => sum + this.h3.cellArea(cell, "km2"), 0);
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

  /**
   * The cells whose centre lies in a shape; the one in its middle if there is none; null if the
   * shape is far too large.
   * @param {Point[]} ring @returns {string[] | null}
   */
  cellsIn(ring) {
    if (boxKm2(ring) > MAX_SHAPE_KM2) return null;
    const found = isFlat(ring) ? [] : this.h3.polygonToCells(ring, RESOLUTION); // H3 refuses lines
    return found.length > 0 ? found : [this.cellAt(middle(ring))];
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
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

/** @param {Point[]} ring @returns {Point} */
function middle(ring) {
  const sum = ring.reduce(([a, b], [lat, lon]) => [a + lat, b + lon], [0, 0]);
  return [sum[0] / ring.length, sum[1] / ring.length];
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
