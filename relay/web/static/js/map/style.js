/**
 * The map's style: plain, in the page's own colours, light and dark. Streets come from a PMTiles
 * file in the Protomaps schema (https://docs.protomaps.com/basemaps/layers), outlines from files
 * of ours; names are drawn with the browser's own font, so that no fonts are loaded.
 * @module
 */

/** @typedef {import("maplibre-gl").StyleSpecification} Style */
/** @typedef {import("maplibre-gl").LayerSpecification} Layer */
/** @typedef {{paper: string, ink: string, muted: string, line: string, accent: string, warn: string, card: string, water: string, green: string}} Colours */

const FONT = ["sans-serif"];
const OUTLINES = "/static/vendor/outline-";

/** @param {HTMLElement} element @returns {Colours} the page's colours, as they are now */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const of = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: of("paper"),
    ink: of("ink"),
    muted: of("muted"),
    line: of("line"),
    accent: of("accent"),
    warn: of("warn"),
    card: of("card"),
    water: isDark ? "#1c2d38" : "#d5e4ec",
    green: isDark ? "#1a2820" : "#e4ecdf",
  };
}

/**
 * @param {Colours} colours
 * @param {{streets: string | null, attribution: string, isAmerican: boolean}} what
 * @returns {Style}
 */
export function baseStyle(colours, { streets, attribution, isAmerican }) {
  const base = streets === null ? outlines(colours, isAmerican) : protomaps(colours, streets, attribution);
  return {
    version: 8,
    sources: base.sources,
    layers: [{ id: "background", type: "background", paint: { "background-color": colours.paper } }, ...base.layers],
  };
}

/** @param {Colours} colours @param {boolean} isAmerican @returns {{sources: Style["sources"], layers: Layer[]}} */
function outlines(colours, isAmerican) {
  const names = isAmerican ? ["countries", "states", "counties"] : ["countries"];
  const widths = { countries: 1.5, states: 1.2, counties: 0.7 };
  return {
    sources: Object.fromEntries(names.map((name) => [name, { type: "geojson", data: `${location.origin}${OUTLINES}${name}.json`, attribution: "Natural Earth, US Census" }])),
    layers: names.map((name) => ({
      id: name,
      type: "line",
      source: name,
      paint: { "line-color": colours.muted, "line-width": widths[/** @type {keyof typeof widths} */ (name)], "line-opacity": 0.7 },
    })),
  };
}

/** @param {Colours} colours @param {string} url @param {string} attribution @returns {{sources: Style["sources"], layers: Layer[]}} */
function protomaps(colours, url, attribution) {
  const of = (/** @type {string} */ layer) => ({ source: "streets", "source-layer": layer });
  const road = (/** @type {string} */ id, /** @type {string[]} */ kinds, /** @type {number} */ width, /** @type {string} */ colour) =>
    /** @type {Layer} */ ({
      id,
      type: "line",
      ...of("roads"),
      filter: ["in", ["get", "kind"], ["literal", kinds]],
      layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": colour, "line-width": ["interpolate", ["exponential", 1.6], ["zoom"], 6, width / 6, 14, width, 18, width * 5] },
    });
  return {
    sources: { streets: { type: "vector", url: `pmtiles://${url}`, attribution: escaped(attribution) } },
    layers: [
      { id: "earth", type: "fill", ...of("earth"), paint: { "fill-color": colours.card } },
      { id: "green", type: "fill", ...of("landuse"), filter: ["in", ["get", "kind"], ["literal", ["park", "forest", "wood", "grass", "cemetery", "golf_course", "nature_reserve"]]], paint: { "fill-color": colours.green } },
      { id: "water", type: "fill", ...of("water"), filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colours.water } },
      { id: "streams", type: "line", ...of("water"), filter: ["==", ["geometry-type"], "LineString"], paint: { "line-color": colours.water, "line-width": 1.5 } },
      { id: "buildings", type: "fill", ...of("buildings"), minzoom: 13, paint: { "fill-color": colours.line, "fill-opacity": 0.7 } },
      road("paths", ["path", "other"], 0.8, colours.line),
      road("rails", ["rail"], 1, colours.muted),
      road("minor-roads", ["minor_road"], 2, colours.line),
      road("major-roads", ["major_road"], 3.2, colours.line),
      road("highways", ["highway"], 4.5, colours.muted),
      { id: "borders", type: "line", ...of("boundaries"), paint: { "line-color": colours.muted, "line-dasharray": [3, 2] } },
      label("road-names", "roads", colours, { minzoom: 14, size: 12, isAlong: true }),
      label("place-names", "places", colours, { minzoom: 4, size: 14, isAlong: false }),
    ],
  };
}

/** @param {string} id @param {string} layer @param {Colours} colours @param {{minzoom: number, size: number, isAlong: boolean}} how @returns {Layer} */
function label(id, layer, colours, { minzoom, size, isAlong }) {
  return {
    id,
    type: "symbol",
    source: "streets",
    "source-layer": layer,
    minzoom,
    filter: ["has", "name"],
    layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": size, "symbol-placement": isAlong ? "line" : "point" },
    paint: { "text-color": colours.ink, "text-halo-color": colours.card, "text-halo-width": 1.5 },
  };
}

/** MapLibre shows an attribution as HTML. @param {string} text */
function escaped(text) {
  const place = document.createElement("span");
  place.textContent = text;
  return place.innerHTML;
}
