/**
 * The map: MapLibre GL over the selection. It shows the jurisdiction and its cells, and draws; what
 * is chosen is the selection's alone. Nothing on it says how many doorbells are where.
 * @module
 */
import { Map as GlMap, AttributionControl, NavigationControl, ScaleControl, addProtocol } from "../../vendor/maplibre-gl.mjs";
import { PMTiles, Protocol } from "../../vendor/pmtiles.js";
import { t } from "../page.js";
import { countText, problemText } from "./chooser.js";
import { Drawing, glPoint } from "./drawing.js";
import { make } from "./elements.js";
import { baseStyle, coloursOf } from "./style.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./area.js").Offer} Offer */
/** @typedef {import("./area.js").Point} Point */
/** @typedef {import("./drawing.js").Mode} Mode */
/** @typedef {import("maplibre-gl").GeoJSONSource} GeoJSONSource */

const MODES = /** @type {const} */ (["move", "cells", "rectangle", "circle", "polygon"]);
const STREETS = "/agency/streets.pmtiles";
const CLOSE_ZOOM = 14.5;
/** From here on single cells can be told apart. */
const CELLS_FROM_ZOOM = 10;
/** West, south, east, north of where counties are drawn. */
const AMERICA = [-180, 17, -64, 72];

/**
 * @param {HTMLElement} place @param {Area} area
 * @param {{has_streets: boolean, attribution: string}} given
 * @param {{said: (offer: Offer) => void, preview: (text: string) => void}} told
 */
export async function openMap(place, area, given, told) {
  await loadStyles();
  const container = make("div", { id: "map", role: "group", "aria-label": t("map.label") });
  const tools = make("div", { class: "map-tools", role: "toolbar", "aria-label": t("map.tools") });
  const hint = make("p", { class: "hint", id: "map-hint", role: "status" });
  place.replaceChildren(tools, container, hint);
  const what = { streets: streetsUrl(given), attribution: given.attribution, isAmerican: isAmerican(area) };
  const map = new GlMap({
    container,
    style: baseStyle(coloursOf(container), what),
    bounds: boundsOf(area),
    fitBoundsOptions: { padding: 24, maxZoom: CLOSE_ZOOM },
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: 18,
    renderWorldCopies: false,
    locale: { "Map.Title": t("map.label"), "NavigationControl.ZoomIn": t("map.zoom_in"), "NavigationControl.ZoomOut": t("map.zoom_out"), "AttributionControl.ToggleAttribution": t("map.attribution") },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl());
  map.addControl(new AttributionControl({ compact: true }));
  const layers = new AreaLayers(map, area);
  const drawing = new Drawing(map, {
    shape: (ring) => {
      const cells = ring === null ? [] : area.cellsIn(ring);
      layers.sketch(ring, cells ?? []);
      told.preview(ring === null ? "" : sketchText(area, cells));
    },
    done: (ring) => {
      const cells = area.cellsIn(ring);
      told.said(cells === null ? { cells: [], outside: [], isTooMany: true } : area.add(cells));
    },
    cell: (point) => told.said(area.toggle(area.cellAt(point))),
  });
  const buttons = MODES.map((mode) => make("button", { type: "button", "data-mode": mode, "aria-pressed": false, onclick: () => use(mode) }, t(`map.mode.${mode}`)));
  const use = (/** @type {Mode} */ mode) => {
    drawing.use(mode);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    hint.textContent = t(`map.hint.${mode}`);
  };
  tools.append(...buttons);
  use("cells");
  const left = new AbortController();
  const { signal } = left;
  const restyle = () => map.setStyle(baseStyle(coloursOf(container), what));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle, { signal });
  area.addEventListener("change", () => layers.mark(), { signal });
  map.on("style.load", () => layers.draw());
  map.on("error", ({ error }) => console.warn("map", error.message));
  await map.once("load");
  container.dataset.ready = "true";
  return {
    /** @param {Point} point */
    show: (point) => void map.flyTo({ center: glPoint(point), zoom: Math.max(map.getZoom(), CLOSE_ZOOM) }),
    close: () => {
      left.abort();
      map.remove();
    },
  };
}

/** What a shape would come to. @param {Area} area @param {string[] | null} cells */
function sketchText(area, cells) {
  if (cells === null) return t("map.far_too_large");
  const offer = area.offer(cells);
  const all = [...area.chosen, ...offer.cells];
  const problem = problemText(area, offer);
  const count = countText(area, all.length, area.km2(all));
  return problem === "" ? count : `${count} ${problem}`;
}

/** The jurisdiction, its cells, and what is being drawn, as layers of the map. */
class AreaLayers {
  /** @param {GlMap} map @param {Area} area */
  constructor(map, area) {
    this.map = map;
    this.area = area;
    /** @type {Set<string>} */
    this.marked = new Set();
    /** @type {string[]} */
    this.sketched = [];
  }

  /** Puts everything onto a style that is new. */
  draw() {
    const { map, area } = this;
    const colours = coloursOf(map.getContainer());
    const edges = area.h3.cellsToMultiPolygon(area.jurisdiction, true);
    map.addSource("jurisdiction", { type: "geojson", data: { type: "MultiPolygon", coordinates: edges } });
    map.addSource("cells", { type: "geojson", promoteId: "cell", data: { type: "FeatureCollection", features: area.jurisdiction.map((cell) => this.hexagon(cell)) } });
    map.addSource("sketch", { type: "geojson", data: empty() });
    const is = (/** @type {string} */ state) => /** @type {any} */ (["boolean", ["feature-state", state], false]);
    map.addLayer({ id: "cells", type: "fill", source: "cells", paint: { "fill-color": colours.accent, "fill-opacity": ["case", is("chosen"), 0.5, is("sketched"), 0.28, 0.05] } });
    map.addLayer({ id: "cell-edges", type: "line", source: "cells", minzoom: CELLS_FROM_ZOOM, paint: { "line-color": colours.accent, "line-opacity": ["case", is("chosen"), 1, 0.35], "line-width": ["case", is("chosen"), 2, 0.7] } });
    map.addLayer({ id: "jurisdiction", type: "line", source: "jurisdiction", paint: { "line-color": colours.accent, "line-width": 2 } });
    map.addLayer({ id: "sketch", type: "line", source: "sketch", paint: { "line-color": colours.warn, "line-width": 2, "line-dasharray": [2, 1.5] } });
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
    const source = /** @type {GeoJSONSource | undefined} */ (this.map.getSource("sketch"));
    if (source === undefined) return;
    const line = ring === null ? empty() : { type: /** @type {const} */ ("LineString"), coordinates: [...ring, ring[0]].map(glPoint) };
    source.setData(line);
    const inside = cells.filter((cell) => this.area.inside.has(cell));
    for (const cell of this.sketched) this.set(cell, { sketched: false });
    for (const cell of inside) this.set(cell, { sketched: true });
    this.sketched = inside;
  }

  /** @param {string} cell @param {Record<string, boolean>} state */
  set(cell, state) {
    this.map.setFeatureState({ source: "cells", id: cell }, state);
  }

  /** @param {string} cell */
  hexagon(cell) {
    const edge = this.area.h3.cellToBoundary(cell, true);
    return { type: /** @type {const} */ ("Feature"), properties: { cell }, geometry: { type: /** @type {const} */ ("Polygon"), coordinates: [edge] } };
  }
}

function empty() {
  return { type: /** @type {const} */ ("FeatureCollection"), features: [] };
}

/** @param {{has_streets: boolean}} given @returns {string | null} */
function streetsUrl({ has_streets }) {
  if (!has_streets) return null;
  const url = `${location.origin}${STREETS}`;
  const protocol = new Protocol();
  protocol.add(new PMTiles(url));
  addProtocol("pmtiles", protocol.tile);
  return url;
}

/** @param {Area} area @returns {[[number, number], [number, number]]} */
function boundsOf(area) {
  const centres = (area.chosen.size > 0 ? [...area.chosen] : area.jurisdiction).map((cell) => area.centre(cell));
  const [lats, lons] = [centres.map(([lat]) => lat), centres.map(([, lon]) => lon)];
  const off = 0.002; // a cell's own width, about
  return [[Math.min(...lons) - off, Math.min(...lats) - off], [Math.max(...lons) + off, Math.max(...lats) + off]];
}

/** @param {Area} area */
function isAmerican(area) {
  const [lat, lon] = area.centre(area.jurisdiction[0]);
  const [west, south, east, north] = AMERICA;
  return lon >= west && lon <= east && lat >= south && lat <= north;
}

async function loadStyles() {
  const href = "/static/vendor/maplibre-gl.css";
  if (document.querySelector(`link[href="${href}"]`) !== null) return;
  const link = make("link", { rel: "stylesheet", href });
  const loaded = new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve); // without it the map is there, if not pretty
  });
  document.head.append(link);
  await loaded;
}
