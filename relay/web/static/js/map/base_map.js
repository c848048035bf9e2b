/**
 * What every map here lies on: MapLibre's style sheet, the operator's file of streets, and where to
 * look if nothing says where.
 * @module
 */
import { addProtocol } from "../../vendor/maplibre-gl.mjs";
import { PMTiles, Protocol } from "../../vendor/pmtiles.js";
import { make } from "./elements.js";

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
