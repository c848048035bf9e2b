/**
 * The theft map with MapLibre GL: the published cells over streets or outlines, with the picture's
 * shades and patterns, so that bands can be told without seeing colours.
 * @module
 */
import { cellToBoundary, cellToLatLng } from "../../vendor/h3.js";
import { t } from "../page.js";
import { around, loadStyles, openStreets, readersMap } from "./base_map.js";
import { make } from "./elements.js";
import { coloursOf } from "./style.js";

/** @typedef {import("maplibre-gl").Map} GlMap */
/** @typedef {{step: number, cells: string[]}} Band */
/** @typedef {{file: string, layer: string, streets: string | null, attribution: string}} Given */

const SHADES = [1, 2, 3];
const PATTERNED = [2, 3];
const TILE_PX = 8;
const MAX_ZOOM = 14;
/** A cell's own width, about. */
const CELL_DEGREES = 0.01;

/** @param {HTMLElement} place @param {Given} given */
export async function openTheftMap(place, { file: address, layer, streets, attribution }) {
  const [bands] = await Promise.all([loadBands(address, layer), loadStyles()]);
  const label = t("theft.map");
  const container = make("div", { id: "map", role: "group", "aria-label": label });
  place.append(container);
  const file = streets === null ? null : openStreets(location.origin + streets);
  const what = { streets: file?.url ?? null, attribution, isAmerican: false };
  const centres = bands.flatMap(({ cells }) => cells).map((cell) => cellToLatLng(cell));
  const bounds = around(centres.map(([lat, lon]) => [lon, lat]), CELL_DEGREES);
  const map = readersMap(container, what, { label, bounds, padding: 24, closest: 12, maxZoom: MAX_ZOOM });
  const data = hexagons(bands);
  map.on("style.load", () => draw(map, container, data));
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
  const names = map.getStyle().layers.find(({ type }) => type === "symbol")?.id; // stay above
  map.addSource("thefts", { type: "geojson", data });
  map.addLayer({ id: "thefts", type: "fill", source: "thefts", paint: { "fill-color": fill, "fill-opacity": 0.85 } }, names);
  for (const step of PATTERNED) map.addImage(`theft-${step}`, pattern(step, card));
  const patterns = /** @type {any} */ (["match", ["get", "step"], ...PATTERNED.flatMap((step) => [step, `theft-${step}`]), ""]);
  map.addLayer({ id: "theft-patterns", type: "fill", source: "thefts", filter: [">=", ["get", "step"], PATTERNED[0]], paint: { "fill-pattern": patterns } }, names);
  map.addLayer({ id: "theft-edges", type: "line", source: "thefts", paint: { "line-color": card, "line-width": 1 } }, names);
}

/** Lines for the second shade, a lattice for the third. @param {number} step @param {string} colour */
function pattern(step, colour) {
  const canvas = make("canvas", { width: TILE_PX, height: TILE_PX });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  for (const begin of [-TILE_PX, 0, TILE_PX]) {
    line(pen, [begin, TILE_PX], [begin + TILE_PX, 0]);
    if (step === PATTERNED[1]) line(pen, [begin, 0], [begin + TILE_PX, TILE_PX]);
  }
  return pen.getImageData(0, 0, TILE_PX, TILE_PX);
}

/** @param {CanvasRenderingContext2D} pen @param {[number, number]} from @param {[number, number]} to */
function line(pen, from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
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
