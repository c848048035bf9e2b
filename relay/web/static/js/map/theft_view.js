/**
 * The theft map with MapLibre GL: the published cells over streets or outlines. A band's shade has
 * its number in it, so that it can be told without seeing colours.
 * @module
 */
import { cellToBoundary, cellToLatLng } from "../../vendor/h3.js";
import { AttributionControl, Map as GlMap, NavigationControl, ScaleControl } from "../../vendor/maplibre-gl.mjs";
import { t } from "../page.js";
import { make } from "./elements.js";
import { baseStyle, coloursOf } from "./style.js";
import { loadStyles, openStreets } from "./map_files.js";

/** @typedef {{step: number, cells: string[]}} Band */
/** @typedef {{file: string, layer: string, streets: string | null, attribution: string}} Given */

const SHADES = [1, 2, 3];
const MAX_ZOOM = 14;

/** @param {HTMLElement} place @param {Given} given */
export async function openTheftMap(place, { file: address, layer, streets, attribution }) {
  const [bands] = await Promise.all([loadBands(address, layer), loadStyles()]);
  const label = t("theft.map");
  const container = make("div", { id: "map", role: "group", "aria-label": label });
  place.append(container);
  const file = streets === null ? null : openStreets(location.origin + streets);
  const what = { streets: file?.url ?? null, attribution, isAmerican: false };
  const map = new GlMap({
    container,
    style: baseStyle(coloursOf(container), what),
    bounds: boundsOf(bands),
    fitBoundsOptions: { padding: 24, maxZoom: 12 },
    attributionControl: false,
    cooperativeGestures: true,
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: MAX_ZOOM,
    renderWorldCopies: false,
    locale: { "Map.Title": label, "NavigationControl.ZoomIn": t("map.zoom_in"), "NavigationControl.ZoomOut": t("map.zoom_out"), "AttributionControl.ToggleAttribution": t("map.attribution") },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl());
  map.addControl(new AttributionControl({ compact: true }));
  const data = hexagons(bands);
  map.on("style.load", () => draw(map, container, data));
  map.on("error", ({ error }) => console.warn("map", error.message));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.setStyle(baseStyle(coloursOf(container), what)));
  await map.once("load");
  container.dataset.ready = "true";
  map.resize();
}

/** The published bands, the last with the strongest shade. @param {string} address @param {string} layer @returns {Promise<Band[]>} */
async function loadBands(address, layer) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: HTTP ${response.status}`);
  const document = await response.json();
  const { bands } = document.layers?.find((/** @type {{name: string}} */ { name }) => name === layer) ?? document;
  return bands.map((/** @type {{cells: string[]}} */ { cells }, /** @type {number} */ place) => ({ step: SHADES.length - bands.length + place + 1, cells }));
}

/** @param {GlMap} map @param {HTMLElement} container @param {ReturnType<typeof hexagons>} data */
function draw(map, container, data) {
  const style = getComputedStyle(container);
  const shade = (/** @type {number} */ step) => style.getPropertyValue(`--theft-${step}`).trim();
  const { card } = coloursOf(container);
  const fill = /** @type {any} */ (["match", ["get", "step"], ...SHADES.flatMap((step) => [step, shade(step)]), card]);
  map.addSource("thefts", { type: "geojson", data });
  map.addLayer({ id: "thefts", type: "fill", source: "thefts", paint: { "fill-color": fill, "fill-opacity": 0.85 } });
  map.addLayer({ id: "theft-edges", type: "line", source: "thefts", paint: { "line-color": card, "line-width": ["match", ["get", "step"], 1, 0.5, 2, 1.5, 3] } });
  map.addLayer({
    id: "theft-steps",
    type: "symbol",
    source: "thefts",
    minzoom: 10,
    layout: { "text-field": ["to-string", ["get", "step"]], "text-font": ["sans-serif"], "text-size": 13, "text-allow-overlap": false },
    paint: { "text-color": card },
  });
}

/** @param {Band[]} bands */
function hexagons(bands) {
  const features = bands.flatMap(({ step, cells }) =>
    cells.map((cell) => ({
      type: /** @type {const} */ ("Feature"),
      properties: { step },
      geometry: { type: /** @type {const} */ ("Polygon"), coordinates: [cellToBoundary(cell, true)] },
    })),
  );
  return { type: /** @type {const} */ ("FeatureCollection"), features };
}

/** @param {Band[]} bands @returns {[[number, number], [number, number]]} west and south, east and north */
function boundsOf(bands) {
  const centres = bands.flatMap(({ cells }) => cells).map((cell) => cellToLatLng(cell));
  const [lats, lons] = [centres.map(([lat]) => lat), centres.map(([, lon]) => lon)];
  const off = 0.01; // a cell's own width, about
  const least = (/** @type {number[]} */ all) => all.reduce((one, other) => Math.min(one, other));
  const most = (/** @type {number[]} */ all) => all.reduce((one, other) => Math.max(one, other));
  return [[least(lons) - off, least(lats) - off], [most(lons) + off, most(lats) + off]];
}
