/**
 * The map: MapLibre GL over the selection. It shows cells, and draws; what is chosen is the
 * selection's alone. Nothing on it says how many doorbells are where.
 * @module
 */
import { Map as GlMap, AttributionControl, NavigationControl, ScaleControl } from "../../vendor/maplibre-gl.mjs";
import { t } from "../page.js";
import { Area } from "./area.js";
import { Drawing, glPoint } from "./draw_tool.js";
import { make } from "./elements.js";
import { inFrames } from "./frames.js";
import { AreaLayers, FreeLayers } from "./layers.js";
import { loadStyles, openStreets } from "./map_files.js";
import { faulty } from "./selection.js";
import { countText, problemText } from "./selection_text.js";
import { baseStyle, coloursOf } from "./style.js";

/** @typedef {import("./selection.js").Offer} Offer */
/** @typedef {import("./selection.js").Point} Point */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./draw_tool.js").Mode} Mode */
/** @typedef {{show: (point: Point) => void, undo: () => boolean, close: () => void}} OpenMap */
/** @typedef {import("./map_files.js").Bounds} Bounds */

const MODES = /** @type {const} */ (["move", "cells", "rectangle", "circle", "polygon"]);
const CLOSE_ZOOM = 14.5;
const TOWN_ZOOM = 12.5;
/** West, south, east, north of where counties are drawn. */
const AMERICA = [-180, 17, -64, 72];
/** @type {Bounds} */
const WORLD = [[-165, -50], [175, 72]];

/**
 * @param {HTMLElement} place @param {Selection} area
 * @param {{has_streets: boolean, attribution: string, base: string}} given
 * @param {{said: (offer: Offer) => void, preview: (text: string) => void}} told
 * @returns {Promise<OpenMap>}
 */
export async function openMap(place, area, given, told) {
  await loadStyles();
  const label = t(area instanceof Area ? "map.label" : "draw.map");
  const container = make("div", { id: "map", role: "group", "aria-label": label });
  const tools = make("div", { class: "map-tools", role: "toolbar", "aria-label": t("map.tools") });
  const hint = make("p", { class: "hint", id: "map-hint", role: "status" });
  place.replaceChildren(tools, container, hint);
  const streets = given.has_streets ? openStreets(`${location.origin}${given.base}/streets.pmtiles`) : null;
  const what = { streets: streets?.url ?? null, attribution: given.attribution, isAmerican: isAmerican(area) };
  const map = new GlMap({
    container,
    style: baseStyle(coloursOf(container), what),
    bounds: boundsOf(area) ?? (await streets?.bounds) ?? WORLD,
    fitBoundsOptions: { padding: 24, maxZoom: CLOSE_ZOOM },
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: 18,
    renderWorldCopies: false,
    locale: { "Map.Title": label, "NavigationControl.ZoomIn": t("map.zoom_in"), "NavigationControl.ZoomOut": t("map.zoom_out"), "AttributionControl.ToggleAttribution": t("map.attribution") },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new ScaleControl());
  map.addControl(new AttributionControl({ compact: true }));
  const layers = area instanceof Area ? new AreaLayers(map, area) : new FreeLayers(map, area);
  const sketch = inFrames((/** @type {Point[] | null} */ ring) => {
    const offer = ring === null ? null : area.shapeOffer(ring);
    layers.sketch(ring, offer?.cells ?? []);
    told.preview(offer === null ? "" : sketchText(area, offer));
  });
  const drawing = new Drawing(map, {
    shape: (ring) => (ring === null ? sketch.now(null) : sketch.soon([...ring])),
    done: (ring) => {
      sketch.drop();
      const offer = area.addShape(ring);
      told.said(offer);
      return offer.fault === undefined;
    },
    cell: (point) => told.said(layers.isClose ? area.toggle(area.cellAt(point)) : faulty("far")),
  });
  const buttons = MODES.map((mode) => make("button", { type: "button", "data-mode": mode, "aria-pressed": false, onclick: () => use(mode) }, t(`map.mode.${mode}`)));
  const use = (/** @type {Mode} */ mode) => {
    drawing.use(mode);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    hint.textContent = t(`map.hint.${mode}`);
  };
  tools.append(...buttons);
  use(area instanceof Area ? "cells" : area.chosen.size > 0 ? "polygon" : "move");
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
    show: (point) => void map.flyTo({ center: glPoint(point), zoom: Math.max(map.getZoom(), area instanceof Area ? CLOSE_ZOOM : TOWN_ZOOM) }),
    undo: () => drawing.undo(),
    close: () => {
      left.abort();
      sketch.drop();
      map.remove();
    },
  };
}

/** What a shape would come to. @param {Selection} area @param {Offer} offer */
function sketchText(area, offer) {
  const problem = problemText(area, offer);
  if (offer.fault !== undefined) return problem;
  const all = area.after(offer);
  const count = countText(area, all.length, area.km2(all));
  return problem === "" ? count : `${count} ${problem}`;
}

/** Where to look first. @param {Selection} area @returns {Bounds | null} */
function boundsOf(area) {
  const cells = area.chosen.size === 0 && area instanceof Area ? area.jurisdiction : [...area.chosen];
  if (cells.length === 0) return null;
  const centres = cells.map((cell) => area.centre(cell));
  const [lats, lons] = [centres.map(([lat]) => lat), centres.map(([, lon]) => lon)];
  const off = 0.002; // a cell's own width, about
  return [[Math.min(...lons) - off, Math.min(...lats) - off], [Math.max(...lons) + off, Math.max(...lats) + off]];
}

/** Whether counties help; nobody knows before anything is drawn. @param {Selection} area */
function isAmerican(area) {
  const first = area instanceof Area ? area.jurisdiction[0] : [...area.chosen][0];
  if (first === undefined) return true;
  const [lat, lon] = area.centre(first);
  const [west, south, east, north] = AMERICA;
  return lon >= west && lon <= east && lat >= south && lat <= north;
}
