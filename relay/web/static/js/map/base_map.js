/**
 * What every map here lies on: MapLibre's style sheet, the operator's file of streets, and where to
 * look if nothing says where.
 * @module
 */
import { AttributionControl, Map as GlMap, NavigationControl, ScaleControl, addProtocol } from "../../vendor/maplibre-gl.mjs";
import { PMTiles, Protocol } from "../../vendor/pmtiles.js";
import { t } from "../page.js";
import { make } from "./elements.js";
import { baseStyle, coloursOf } from "./style.js";

/** @typedef {[[number, number], [number, number]]} Bounds west and south, east and north */

/** West, south, east, north of where counties are drawn. */
const AMERICA = [-180, 17, -64, 72];
/** @type {Bounds} */
export const WORLD = [[-165, -50], [175, 72]];

/** The operator's file of streets, and what it covers. @param {string} url */
export function openStreets(url) {
  const file = new PMTiles(url);
  const protocol = new Protocol();
  protocol.add(file);
  addProtocol("pmtiles", protocol.tile);
  const bounds = file.getHeader().then(
    ({ minLon, minLat, maxLon, maxLat }) => /** @type {Bounds} */ ([[minLon, minLat], [maxLon, maxLat]]),
    () => null, // the map says that it has none
  );
  return { url, bounds };
}

/** Whether a place is where counties are drawn. @param {[number, number]} point latitude and longitude */
export function isAmerican([lat, lon]) {
  const [west, south, east, north] = AMERICA;
  return lon >= west && lon <= east && lat >= south && lat <= north;
}

/** Loads MapLibre's own style sheet, once. */
export async function loadStyles() {
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

/**
 * A map of what is published, to look at: moved and zoomed, nothing drawn. It follows the reader's
 * light and dark.
 * @param {HTMLElement} container @param {{streets: string | null, attribution: string, isAmerican: boolean}} what
 * @param {{label: string, bounds: Bounds, padding: number, closest: number, maxZoom: number}} shown `closest`: how near it begins
 */
export function readersMap(container, what, { label, bounds, padding, closest, maxZoom }) {
  const map = new GlMap({
    container,
    style: baseStyle(coloursOf(container), what),
    bounds,
    fitBoundsOptions: { padding, maxZoom: closest },
    attributionControl: false,
    cooperativeGestures: true, // a thumb that scrolls past doesn't get caught
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom,
    renderWorldCopies: false,
    locale: {
      "Map.Title": label,
      "NavigationControl.ZoomIn": t("map.zoom_in"),
      "NavigationControl.ZoomOut": t("map.zoom_out"),
      "AttributionControl.ToggleAttribution": t("map.attribution"),
      "CooperativeGesturesHandler.WindowsHelpText": t("map.ctrl"),
      "CooperativeGesturesHandler.MacHelpText": t("map.cmd"),
      "CooperativeGesturesHandler.MobileHelpText": t("map.fingers"),
    },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl());
  map.addControl(new AttributionControl({ compact: true }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.setStyle(baseStyle(coloursOf(container), what)));
  map.on("error", ({ error }) => console.warn("map", error.message));
  return map;
}

/** The bounds of points. @param {[number, number][]} points longitude and latitude @param {number} off in degrees, around them */
export function around(points, off) {
  const least = (/** @type {number[]} */ all) => all.reduce((one, other) => Math.min(one, other));
  const most = (/** @type {number[]} */ all) => all.reduce((one, other) => Math.max(one, other));
  const [lons, lats] = [points.map(([lon]) => lon), points.map(([, lat]) => lat)];
  return /** @type {Bounds} */ ([[least(lons) - off, least(lats) - off], [most(lons) + off, most(lats) + off]]);
}
