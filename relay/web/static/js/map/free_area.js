/**
 * A jurisdiction while it is drawn: any cells, as many as an agreement holds. Shapes add cells, or
 * take them out. What the relay would refuse of a shape is refused here too; the relay is the judge.
 * @module
 */
import { Selection, crosses, faulty } from "./selection.js";

/** @typedef {import("./selection.js").H3} H3 */
/** @typedef {import("./selection.js").Offer} Offer */
/** @typedef {import("./selection.js").Point} Point */

const CELL_KM2 = 0.105;
/** A shape whose box holds so many times what fits is drawn in pieces. */
const BOX_TIMES = 4;

export class FreeArea extends Selection {
  isTakingOut = false;

  /** @param {H3} h3 @param {{max_cells: number}} limits */
  constructor(h3, { max_cells }) {
    super(h3, { most: max_cells, maxShapeKm2: max_cells * CELL_KM2 * BOX_TIMES });
  }

  /** Chooses these in place of all that was chosen. @param {string[]} cells */
  replace(cells) {
    this.remember();
    this.chosen = new Set(cells);
    this.changed();
  }

  /** @override @param {Point[]} ring @returns {Offer} */
  shapeOffer(ring) {
    if (crosses(ring)) return faulty("crosses");
    const cells = this.cellsIn(ring);
    if (cells === null) return faulty("large");
    if (this.isTakingOut) {
      const taken = cells.filter((cell) => this.chosen.has(cell));
      return taken.length === 0 ? faulty("nothing") : { cells: taken, outside: [], isTooMany: false, isTaking: true };
    }
    return cells.length === 0 ? faulty("small") : this.offer(cells);
  }
}
