/**
 * The map of cells that were asked about: MapLibre GL over the operator's streets. A click on a
 * cell leads to its requests; the table on the page does the same by keyboard.
 * @module
 */
import { t } from "../page.js";
import { around, isAmerican, loadStyles, openStreets, readersMap } from "./base_map.js";
import { make } from "./elements.js";
import { coloursOf } from "./style.js";

/** @typedef {import("maplibre-gl").Map} GlMap */
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
  const [[lon, lat]] = points;
  const what = { streets: streets?.url ?? null, attribution: place.dataset.attribution ?? "", isAmerican: isAmerican([lat, lon]) };
  const shown = { label: t("asked.map"), bounds: around(points, 0), padding: 40, closest: 14.5, maxZoom: 18 };
  const map = readersMap(container, what, shown);
  map.on("style.load", () => drawCells(map, asked, coloursOf(container).accent));
  map.on("click", "asked", ({ features }) => {
    const cell = features?.[0]?.properties.cell;
    if (cell !== undefined) location.assign(`/requests?cell=${encodeURIComponent(cell)}`);
  });
  map.on("mouseenter", "asked", () => map.getCanvas().classList.add("to-requests"));
  map.on("mouseleave", "asked", () => map.getCanvas().classList.remove("to-requests"));
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
