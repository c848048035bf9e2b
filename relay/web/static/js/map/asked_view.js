/**
 * The map of cells that were asked about: MapLibre GL over the operator's streets. A click on a
 * cell leads to its requests; the table on the page does the same by keyboard.
 * @module
 */
import { Map as GlMap, AttributionControl, NavigationControl, ScaleControl } from "../../vendor/maplibre-gl.mjs";
import { t } from "../page.js";
import { isAmerican, loadStyles, openStreets } from "./base_map.js";
import { make } from "./elements.js";
import { baseStyle, coloursOf } from "./style.js";

/** @typedef {{type: "FeatureCollection", features: {type: "Feature", properties: {cell: string, band: string}, geometry: {type: "Polygon", coordinates: [number, number][][]}}[]}} Asked */

const OPACITY = { "1-4": 0.18, "5-19": 0.5, "20+": 0.85 };

/** @param {HTMLElement} place in which the relay's picture is, until the map is ready */
export async function openAskedMap(place) {
  const response = await fetch("/map.geojson");
  if (!response.ok) throw new Error(response.statusText);
  const asked = /** @type {Asked} */ (await response.json());
  await loadStyles();
  const picture = place.firstElementChild;
  const container = make("div", { id: "map", role: "group", "aria-label": t("asked.map") });
  place.append(container);
  const streets = place.dataset.streets === "yes" ? openStreets(`${location.origin}/map/streets.pmtiles`) : null;
  const points = asked.features.flatMap(({ geometry }) => geometry.coordinates[0]);
  const [lons, lats] = [points.map(([lon]) => lon), points.map(([, lat]) => lat)];
  const what = { streets: streets?.url ?? null, attribution: place.dataset.attribution ?? "", isAmerican: isAmerican([lats[0], lons[0]]) };
  const map = new GlMap({
    container,
    style: baseStyle(coloursOf(container), what),
    bounds: [[least(lons), least(lats)], [most(lons), most(lats)]],
    fitBoundsOptions: { padding: 40, maxZoom: 14.5 },
    attributionControl: false,
    cooperativeGestures: true, // a thumb that scrolls past doesn't get caught
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: 18,
    renderWorldCopies: false,
    locale: {
      "Map.Title": t("asked.map"),
      "NavigationControl.ZoomIn": t("map.zoom_in"),
      "NavigationControl.ZoomOut": t("map.zoom_out"),
      "AttributionControl.ToggleAttribution": t("map.attribution"),
      "CooperativeGesturesHandler.WindowsHelpText": t("asked.map.ctrl"),
      "CooperativeGesturesHandler.MacHelpText": t("asked.map.cmd"),
      "CooperativeGesturesHandler.MobileHelpText": t("asked.map.fingers"),
    },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl());
  map.addControl(new AttributionControl({ compact: true }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.setStyle(baseStyle(coloursOf(container), what)));
  map.on("style.load", () => drawCells(map, asked, coloursOf(container).accent));
  map.on("click", "asked", ({ features }) => {
    const cell = features?.[0]?.properties.cell;
    if (cell !== undefined) location.assign(`/requests?cell=${encodeURIComponent(cell)}`);
  });
  map.on("mouseenter", "asked", () => map.getCanvas().classList.add("to-requests"));
  map.on("mouseleave", "asked", () => map.getCanvas().classList.remove("to-requests"));
  map.on("error", ({ error }) => console.warn("map", error.message));
  await map.once("load");
  picture?.classList.add("replaced"); // it goes on giving the map its size
  picture?.setAttribute("aria-hidden", "true");
  container.dataset.ready = "true";
}

/** @param {GlMap} map @param {Asked} asked @param {string} colour */
function drawCells(map, asked, colour) {
  map.addSource("asked", { type: "geojson", data: asked });
  const opacity = /** @type {any} */ (["match", ["get", "band"], ...Object.entries(OPACITY).flat(), 0]);
  map.addLayer({ id: "asked", type: "fill", source: "asked", paint: { "fill-color": colour, "fill-opacity": opacity } });
  map.addLayer({ id: "asked-edges", type: "line", source: "asked", paint: { "line-color": colour, "line-width": 1.2 } });
}

/** @param {number[]} values */
function least(values) {
  return values.reduce((one, other) => Math.min(one, other));
}

/** @param {number[]} values */
function most(values) {
  return values.reduce((one, other) => Math.max(one, other));
}
