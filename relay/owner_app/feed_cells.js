/**
 * The cells of a district: where they lie to one another, in words and as a drawing, and how far
 * they are from one's own door. All of it is worked out here; no place of a door is sent.
 * @module
 */
import { settingsOf } from "./decision_notes.js";
import { rememberPlace, placeOf } from "./feed_place.js";
import { cellToBoundary, cellToLatLng, cellToParent, getResolution, greatCircleDistance, isValidCell } from "./vendor/h3.js";

/** @typedef {import("./feed.js").District} District */
/** @typedef {import("./household.js").Household} Household */
/** @typedef {"middle" | "n" | "ne" | "e" | "se" | "s" | "sw" | "w" | "nw"} Side */
/** @typedef {{side: Side, number: number}} Part of a district: `number` is 0 where no other lies on that side */
/** @typedef {{cell: string, points: [number, number][]}} Outline in the drawing's units */
/** @typedef {{width: number, height: number, outlines: Outline[]}} Drawing */

const FEED_RESOLUTION = 8;
const DOOR_RESOLUTION = 9;
const WIDTH = 1000;
const MARGIN = 20;
/** What is nearer to the district's middle than this share of its half width has no side. */
const MIDDLE = 0.3;
/** @type {Side[]} from east, against the clock */
const SIDES = ["e", "ne", "n", "nw", "w", "sw", "s", "se"];

/** How far a post's cell is from one's own, in metres, from middle to middle. @param {string} cell @param {string} own */
export function distanceM(cell, own) {
  return greatCircleDistance(cellToLatLng(cell), cellToLatLng(own), "m");
}

/** The district's cell in which one's own lies, if it is one of it. @param {District} district @param {string | null} own */
export function cellAround(district, own) {
  if (own === null) return null;
  const parent = cellToParent(own, FEED_RESOLUTION);
  return district.cells.includes(parent) ? parent : null;
}

/** The district in which a place lies. @param {District[]} districts @param {string | null} own */
export function districtAround(districts, own) {
  return districts.find((one) => cellAround(one, own) !== null) ?? null;
}

/** Where this browser says that one's door is: as it was told here, else as a doorbell's settings say. @param {Household} household @returns {string | null} */
export function ownCell(household) {
  const told = placeOf(household.owner.credential_id, household.relay.base);
  const cells = household.doorbells.map(({ device }) => settingsOf(household, device).settings?.cell);
  return [told, ...cells].find((cell) => cell != null && isDoorCell(cell)) ?? null;
}

/** Keeps it in this browser alone. @param {Household} household @param {string} cell */
export function rememberOwnCell(household, cell) {
  if (isDoorCell(cell)) rememberPlace(household.owner.credential_id, household.relay.base, cell);
}

/** @param {string} cell */
function isDoorCell(cell) {
  return isValidCell(cell) && getResolution(cell) === DOOR_RESOLUTION;
}

/** The cells as one reads a map: from the north, and from the west. @param {string[]} cells @returns {string[]} */
export function inReadingOrder(cells) {
  const places = new Map(cells.map((cell) => [cell, cellToLatLng(cell)]));
  const at = (/** @type {string} */ cell) => /** @type {[number, number]} */ (places.get(cell));
  return [...cells].sort((a, b) => at(b)[0] - at(a)[0] || at(a)[1] - at(b)[1]);
}

/** Says of each cell on which side of the district it lies. @param {string[]} all @returns {Map<string, Part>} */
export function partsOf(all) {
  const cells = inReadingOrder(all);
  const places = placesOf(cells);
  const [midX, midY] = [mean(places.map(([x]) => x)), mean(places.map(([, y]) => y))];
  const far = Math.max(...places.map(([x, y]) => Math.hypot(x - midX, y - midY)));
  const sides = places.map(([x, y]) => sideOf(x - midX, midY - y, far));
  /** @type {Map<Side, number>} */
  const seen = new Map();
  return new Map(
    cells.map((cell, at) => {
      const side = sides[at];
      const number = (seen.get(side) ?? 0) + 1;
      seen.set(side, number);
      const isAlone = sides.filter((one) => one === side).length === 1;
      return [cell, { side, number: isAlone ? 0 : number }];
    }),
  );
}

/** The district as hexagons, north at the top. @param {string[]} cells @returns {Drawing} */
export function drawingOf(cells) {
  const rings = cells.map((cell) => /** @type {[number, number][]} */ (cellToBoundary(cell)));
  const [lat0] = cellToLatLng(cells[0]);
  const flat = rings.map((ring) => ring.map((point) => flattened(point, lat0)));
  const [xs, ys] = [flat.flat().map(([x]) => x), flat.flat().map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const scale = (WIDTH - 2 * MARGIN) / Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
  const place = (/** @type {[number, number]} */ [x, y]) => /** @type {[number, number]} */ ([Math.round(MARGIN + (x - left) * scale), Math.round(MARGIN + (y - top) * scale)]);
  const outlines = cells.map((cell, at) => ({ cell, points: flat[at].map(place) }));
  const reach = (/** @type {number[]} */ all) => Math.round((Math.max(...all) - Math.min(...all)) * scale) + 2 * MARGIN;
  return { width: reach(xs), height: reach(ys), outlines };
}

/** @param {string[]} cells */
function placesOf(cells) {
  const [lat0] = cellToLatLng(cells[0]);
  return cells.map((cell) => flattened(/** @type {[number, number]} */ (cellToLatLng(cell)), lat0));
}

/** Degrees as a plane on which a town is right: x to the east, y to the south. @param {[number, number]} point @param {number} lat0 @returns {[number, number]} */
function flattened([lat, lng], lat0) {
  return [lng * Math.cos((lat0 * Math.PI) / 180), -lat];
}

/** @param {number} east @param {number} north @param {number} far @returns {Side} */
function sideOf(east, north, far) {
  if (far === 0 || Math.hypot(east, north) < MIDDLE * far) return "middle";
  const eighths = Math.round(Math.atan2(north, east) / (Math.PI / 4));
  return SIDES[(eighths + 8) % 8];
}

/** @param {number[]} all */
function mean(all) {
  return all.reduce((sum, one) => sum + one, 0) / all.length;
}
