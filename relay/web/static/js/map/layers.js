/**
 * The map's layers: cells, the selected ones, and the shape being drawn.
 * @module
 */
import { glPoint } from "./draw_tool.js";
import { coloursOf } from "./style.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./selection.js").Point} Point */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("maplibre-gl").Map} GlMap */
/** @typedef {import("maplibre-gl").GeoJSONSource} GeoJSONSource */
/** @typedef {Parameters<GeoJSONSource["setData"]>[0]} GeoData */

/** From here on single cells can be told apart. */
const CELLS_FROM_ZOOM = 10;
/** From here on there are some hundred cells in view. */
const GRID_FROM_ZOOM = 12;
const MAX_GRID_KM2 = 300;

class Layers {
  /** @param {GlMap} map @param {Selection} area */
  constructor(map, area) {
    this.map = map;
    this.area = area;
  }

  get colours() {
    return coloursOf(this.map.getContainer());
  }

  /** Whether one sees which cell one clicks. */
  get isClose() {
    return true;
  }

  /** The line of what is being drawn, over all else. */
  drawSketch() {
    this.map.addSource("sketch", { type: "geojson", data: collection([]) });
    this.map.addLayer({ id: "sketch", type: "line", source: "sketch", paint: { "line-color": this.colours.warn, "line-width": 2, "line-dasharray": [2, 1.5] } });
  }

  /** @param {Point[] | null} ring */
  sketchLine(ring) {
    const line = ring === null ? collection([]) : { type: /** @type {const} */ ("LineString"), coordinates: [...ring, ring[0]].map(glPoint) };
    this.put("sketch", line);
  }

  /** Shows something in place of what was there, if the style is up. @param {string} source @param {GeoData} data */
  put(source, data) {
    const found = /** @type {GeoJSONSource | undefined} */ (this.map.getSource(source));
    found?.setData(data);
  }

  /** @param {Iterable<string>} cells */
  hexagons(cells) {
    return collection([...cells].map((cell) => this.hexagon(cell)));
  }

  /** @param {string} cell */
  hexagon(cell) {
    const edge = this.area.h3.cellToBoundary(cell, true);
    return { type: /** @type {const} */ ("Feature"), properties: { cell }, geometry: { type: /** @type {const} */ ("Polygon"), coordinates: [edge] } };
  }
}

/** A request's: the jurisdiction and its cells, of which some are chosen. */
export class AreaLayers extends Layers {
  /** @param {GlMap} map @param {Area} area */
  constructor(map, area) {
    super(map, area);
    this.jurisdiction = area.jurisdiction;
    /** @type {Set<string>} */
    this.marked = new Set();
    /** @type {string[]} */
    this.sketched = [];
  }

  /** Puts everything onto a style that is new. */
  draw() {
    const { map, area, colours } = this;
    const edges = area.h3.cellsToMultiPolygon(this.jurisdiction, true);
    map.addSource("jurisdiction", { type: "geojson", data: { type: "MultiPolygon", coordinates: edges } });
    map.addSource("cells", { type: "geojson", promoteId: "cell", data: this.hexagons(this.jurisdiction) });
    const is = (/** @type {string} */ state) => /** @type {any} */ (["boolean", ["feature-state", state], false]);
    map.addLayer({ id: "cells", type: "fill", source: "cells", paint: { "fill-color": colours.accent, "fill-opacity": ["case", is("chosen"), 0.5, is("sketched"), 0.28, 0.05] } });
    map.addLayer({ id: "cell-edges", type: "line", source: "cells", minzoom: CELLS_FROM_ZOOM, paint: { "line-color": colours.accent, "line-opacity": ["case", is("chosen"), 1, 0.35], "line-width": ["case", is("chosen"), 2, 0.7] } });
    map.addLayer({ id: "jurisdiction", type: "line", source: "jurisdiction", paint: { "line-color": colours.accent, "line-width": 2 } });
    this.drawSketch();
    this.marked.clear();
    this.mark();
  }

  /** Shows what is chosen now. */
  mark() {
    if (this.map.getSource("cells") === undefined) return;
    const { chosen } = this.area;
    for (const cell of this.marked) if (!chosen.has(cell)) this.set(cell, { chosen: false });
    for (const cell of chosen) if (!this.marked.has(cell)) this.set(cell, { chosen: true });
    this.marked = new Set(chosen);
  }

  /** @param {Point[] | null} ring @param {string[]} cells */
  sketch(ring, cells) {
    if (this.map.getSource("cells") === undefined) return;
    this.sketchLine(ring);
    for (const cell of this.sketched) this.set(cell, { sketched: false });
    for (const cell of cells) this.set(cell, { sketched: true });
    this.sketched = cells;
  }

  /** @param {string} cell @param {Record<string, boolean>} state */
  set(cell, state) {
    this.map.setFeatureState({ source: "cells", id: cell }, state);
  }
}

/** A jurisdiction's while it is drawn: what is chosen, and close by all cells in view. */
export class FreeLayers extends Layers {
  /** @param {GlMap} map @param {Selection} area */
  constructor(map, area) {
    super(map, area);
    map.on("moveend", () => this.grid());
  }

  /** @override */
  get isClose() {
    return this.map.getZoom() >= GRID_FROM_ZOOM;
  }

  draw() {
    const { map, colours } = this;
    for (const source of ["grid", "cells", "sketched"]) map.addSource(source, { type: "geojson", data: collection([]) });
    map.addLayer({ id: "grid", type: "line", source: "grid", minzoom: GRID_FROM_ZOOM, paint: { "line-color": colours.muted, "line-opacity": 0.35, "line-width": 0.7 } });
    map.addLayer({ id: "cells", type: "fill", source: "cells", paint: { "fill-color": colours.accent, "fill-opacity": 0.35 } });
    map.addLayer({ id: "cell-edges", type: "line", source: "cells", minzoom: CELLS_FROM_ZOOM, paint: { "line-color": colours.accent, "line-width": 1 } });
    map.addLayer({ id: "sketched", type: "fill", source: "sketched", paint: { "fill-color": colours.warn, "fill-opacity": 0.3 } });
    this.drawSketch();
    this.grid();
    this.mark();
  }

  mark() {
    this.put("cells", this.hexagons(this.area.chosen));
  }

  /** @param {Point[] | null} ring @param {string[]} cells */
  sketch(ring, cells) {
    this.sketchLine(ring);
    this.put("sketched", this.hexagons(cells));
  }

  grid() {
    const { area, map } = this;
    const view = map.getBounds();
    const [[west, south], [east, north]] = view.toArray();
    const km2 = (north - south) * 111 * (east - west) * 111 * Math.cos((((south + north) / 2) * Math.PI) / 180);
    const isShown = this.isClose && km2 <= MAX_GRID_KM2;
    this.put("grid", this.hexagons(isShown ? area.h3.polygonToCells([[south, west], [south, east], [north, east], [north, west]], 9) : []));
  }
}

/** @param {ReturnType<Layers["hexagon"]>[]} features */
function collection(features) {
  return { type: /** @type {const} */ ("FeatureCollection"), features };
}
