/**
 * Files that a map needs beside its modules: MapLibre's own style, and the operator's streets.
 * @module
 */
import { addProtocol } from "../../vendor/maplibre-gl.mjs";
import { PMTiles, Protocol } from "../../vendor/pmtiles.js";
import { make } from "./elements.js";

/** @typedef {[[number, number], [number, number]]} Bounds west and south, east and north */

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

/** Loads MapLibre's style sheet, once. */
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
