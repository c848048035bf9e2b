/**
 * Where one's door is, as it was told for the neighbours' filter: in this browser alone, until one
 * signs out.
 * @module
 */

/** @param {string} credentialId */
const storedAs = (credentialId) => `doorward.feed-place.${credentialId}`;

/** @param {string} credentialId @returns {string | null} a cell */
export function placeOf(credentialId) {
  return localStorage.getItem(storedAs(credentialId));
}

/** @param {string} credentialId @param {string} cell */
export function rememberPlace(credentialId, cell) {
  localStorage.setItem(storedAs(credentialId), cell);
}

/** @param {string} credentialId */
export function forgetPlace(credentialId) {
  localStorage.removeItem(storedAs(credentialId));
}
