/**
 * Strict parser of a doorbell's JSON messages on a data channel, of bounded size.
 * @module
 */

/**
 * Returns what a message holds; null if it is no JSON.
 * @param {unknown} data @param {number} mostCharacters
 * @returns {any} nobody knows of what form; callers check
 */
export function jsonOf(data, mostCharacters) {
  if (typeof data !== "string" || data.length > mostCharacters) return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

/** @param {unknown} value */
export function isText(value) {
  return typeof value === "string";
}

/** @param {unknown} value */
export function isCount(value) {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
