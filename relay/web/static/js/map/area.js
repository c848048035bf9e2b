/**
 * The area of a request: whole map cells inside the agency's jurisdiction, merged ones together, no
 * more than the limits allow (R3).
 * @module
 */
import { Selection, middle } from "./selection.js";

/** @typedef {import("./selection.js").H3} H3 */
/** @typedef {import("./selection.js").Point} Point */
/** @typedef {{cells: string[], names: string[], merged: string[][], max_cells: number}} Jurisdiction `names` are those of places near the cells, in the same order */

/** So large a shape is never computed: a request's area is about one square kilometre. */
const MAX_SHAPE_KM2 = 60;

export class Area extends Selection {
  /** @param {H3} h3 @param {Jurisdiction} jurisdiction */
  constructor(h3, { cells, names, merged, max_cells }) {
    super(h3, { most: max_cells, maxShapeKm2: MAX_SHAPE_KM2 });
    this.jurisdiction = cells;
    this.inside = new Set(cells);
    this.names = new Map(cells.map((cell, index) => [cell, names[index]]));
    this.groups = new Map(merged.flatMap((group) => group.map((cell) => [cell, group])));
  }

  /** @override @param {string} cell @returns {string[]} */
  groupOf(cell) {
    return this.groups.get(cell) ?? [cell];
  }

  /** @override @param {string} cell */
  nameOf(cell) {
    return this.names.get(cell) ?? super.nameOf(cell);
  }

  /** @override @param {string} cell */
  isInside(cell) {
    return this.inside.has(cell);
  }

  /** Too small a shape is the cell in its middle. @override @param {Point[]} ring @returns {string[] | null} */
  cellsIn(ring) {
    const found = super.cellsIn(ring);
    return found?.length === 0 ? [this.cellAt(middle(ring))] : found;
  }
}
