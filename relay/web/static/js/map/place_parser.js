/**
 * Parser of typed places: coordinates in several notations, or map cells' ids.
 * @module
 */

/** @typedef {[number, number]} Point latitude and longitude, in degrees */

const NUMBER = "[+-]?\\d{1,3}(?:[.,]\\d+)?";
/** "59.33, 18.06", "59,33 18,06", "59.33° N 18.06° E" (Ö and V are Swedish for E and W). */
const PLAIN = new RegExp(`^(${NUMBER})\\s*°?\\s*([NS])?(?:\\s*[,;]\\s*|\\s+)(${NUMBER})\\s*°?\\s*([EWÖV])?$`, "i");
const ANGLE = "(\\d{1,3})\\s*°\\s*(\\d{1,2}(?:[.,]\\d+)?)\\s*['′’]\\s*(?:(\\d{1,2}(?:[.,]\\d+)?)\\s*(?:\"|″|”|''))?";
/** 59°19'48"N 18°3'36"E, also with decimal minutes. */
const DEGREES = new RegExp(`^${ANGLE}\\s*([NS])\\s*[,;]?\\s*${ANGLE}\\s*([EWÖV])$`, "i");
const CELL = /^89[0-9a-f]{13}$/;

/** @param {string} text @returns {{point: Point} | {cells: string[]} | null} */
export function parsePlace(text) {
  const typed = text.trim();
  const words = typed.toLowerCase().split(/[\s,;]+/);
  if (typed !== "" && words.every((word) => CELL.test(word))) return { cells: words };
  const point = parsePlain(typed) ?? parseDegrees(typed);
  return point === null ? null : { point };
}

/** @param {string} text @returns {Point | null} */
function parsePlain(text) {
  const found = PLAIN.exec(text);
  if (found === null) return null;
  const [, lat, south, lon, west] = found;
  const isBoth = (/** @type {string} */ degrees, /** @type {string | undefined} */ side) => side !== undefined && /^[+-]/.test(degrees);
  if (isBoth(lat, south) || isBoth(lon, west)) return null; // "-59 S": nobody knows what is meant
  return onEarth(signed(number(lat), south), signed(number(lon), west));
}

/** @param {string} text @returns {Point | null} */
function parseDegrees(text) {
  const found = DEGREES.exec(text);
  if (found === null) return null;
  const [, a, b, c, south, d, e, f, west] = found;
  return onEarth(signed(angle(a, b, c), south), signed(angle(d, e, f), west));
}

/** @param {string} degrees @param {string} minutes @param {string | undefined} seconds */
function angle(degrees, minutes, seconds) {
  return number(degrees) + number(minutes) / 60 + number(seconds ?? "0") / 3600;
}

/** @param {string} text */
function number(text) {
  return Number(text.replace(",", "."));
}

/** @param {number} value @param {string | undefined} side */
function signed(value, side) {
  return /^[SWV]$/i.test(side ?? "") ? -value : value;
}

/** @param {number} lat @param {number} lon @returns {Point | null} */
function onEarth(lat, lon) {
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lat, lon] : null;
}
