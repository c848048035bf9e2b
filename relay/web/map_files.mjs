/**
 * Copies what the officers' map is made of, for `npm run vendor`: MapLibre GL, PMTiles, H3, and
 * outlines of the world's countries and of the United States' states and counties, which are all
 * that the map shows where an operator names no streets of their own.
 *
 * Outlines are lines only, simplified and rounded: they tell where one is, no more.
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mesh } from "topojson-client";

const COPIED = {
  "maplibre-gl/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
  "maplibre-gl/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
  "maplibre-gl/dist/maplibre-gl.css": "maplibre-gl.css",
  "maplibre-gl/LICENSE.txt": "maplibre-gl.LICENSE.txt",
  "h3-js/dist/browser/h3-js.es.js": "h3.js",
  "h3-js/LICENSE": "h3.LICENSE",
  "fflate/esm/browser.js": "fflate.js",
  "fflate/LICENSE": "fflate.LICENSE",
  "us-atlas/LICENSE": "outlines.LICENSE",
};
const TYPES = { "maplibre-gl.d.mts": "maplibre-gl", "pmtiles.d.ts": "pmtiles", "h3.d.ts": "h3-js" };
/** Object, how many degrees a line may be off, and how many digits are kept. */
const OUTLINES = {
  countries: { from: "world-atlas/countries-50m.json", object: "countries", off: 0.02, digits: 2 },
  states: { from: "us-atlas/states-10m.json", object: "states", off: 0.004, digits: 3 },
  counties: { from: "us-atlas/counties-10m.json", object: "counties", off: 0.004, digits: 3 },
};

/** @param {string} root the repository @param {string} to the pages' vendor folder */
export function writeMapFiles(root, to) {
  const modules = join(root, "node_modules");
  for (const [from, name] of Object.entries(COPIED)) copyFileSync(join(modules, from), join(to, name));
  const pmtiles = readFileSync(join(modules, "pmtiles/dist/esm/index.js"), "utf8");
  const inFolder = pmtiles.replace('from"fflate"', 'from"./fflate.js"');
  if (inFolder === pmtiles) throw new Error("pmtiles imports fflate in another way now");
  writeFileSync(join(to, "pmtiles.js"), inFolder);
  copyFileSync(join(root, "relay/web/licenses/pmtiles.txt"), join(to, "pmtiles.LICENSE")); // its package has none
  for (const [name, of] of Object.entries(TYPES)) {
    writeFileSync(join(to, name), `export * from "${of}";\n`);
  }
  for (const [name, outline] of Object.entries(OUTLINES)) {
    const topology = JSON.parse(readFileSync(join(modules, outline.from), "utf8"));
    const lines = mesh(topology, topology.objects[outline.object]).coordinates.flatMap(cut);
    const coordinates = lines.map((line) => rounded(simplified(line, outline.off), outline.digits));
    const kept = coordinates.filter((line) => line.length > 1);
    writeFileSync(join(to, `outline-${name}.json`), JSON.stringify({ type: "MultiLineString", coordinates: kept }));
  }
}

/** Cuts a line at the 180th meridian, where it would else go all around the world. @param {number[][]} line */
export function cut(line) {
  /** @type {number[][][]} */
  const pieces = [[]];
  line.forEach((point, index) => {
    if (index > 0 && Math.abs(point[0] - line[index - 1][0]) > 180) pieces.push([]);
    pieces[pieces.length - 1].push(point);
  });
  return pieces;
}

/**
 * Leaves out the points of a line that lie closer to it than `off` (Douglas and Peucker, 1973).
 * @param {number[][]} line @param {number} off
 */
export function simplified(line, off) {
  const isKept = line.map((_, index) => index === 0 || index === line.length - 1);
  const spans = [[0, line.length - 1]];
  for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
    const [from, to] = span;
    let [farthest, distance] = [0, off];
    for (let index = from + 1; index < to; index++) {
      const here = distanceFrom(line[index], line[from], line[to]);
      if (here > distance) [farthest, distance] = [index, here];
    }
    if (farthest === 0) continue;
    isKept[farthest] = true;
    spans.push([from, farthest], [farthest, to]);
  }
  return line.filter((_, index) => isKept[index]);
}

/** @param {number[]} point @param {number[]} from @param {number[]} to */
function distanceFrom([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const part = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - part * dx, y - ay - part * dy);
}

/** @param {number[][]} line @param {number} digits */
function rounded(line, digits) {
  const points = line.map((point) => point.map((value) => Number(value.toFixed(digits))));
  return points.filter(([x, y], index) => index === 0 || x !== points[index - 1][0] || y !== points[index - 1][1]);
}
