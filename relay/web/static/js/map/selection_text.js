/**
 * Sentences about a selection of cells: its size, and why a part of an offer wasn't taken.
 * @module
 */
import { t } from "../page.js";

/** @typedef {import("./selection.js").Offer} Offer */
/** @typedef {import("./selection.js").Selection} Selection */

/** @param {Selection} area @param {number} count @param {number} km2 */
export function countText(area, count, km2) {
  const size = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
  return t("map.count", { count, most: area.most, size: size.format(km2) });
}

/** Why something wasn't chosen, or "". @param {Selection} area @param {Offer} offer */
export function problemText(area, { cells, outside, isTooMany, fault }) {
  if (fault === "large") return t("map.far_too_large");
  if (fault !== undefined) return t(`draw.${fault}`);
  if (isTooMany) return t("map.too_many", { count: area.chosen.size + cells.length, most: area.most });
  if (outside.length > 0) return t(cells.length > 0 ? "map.some_outside" : "map.outside", { count: outside.length });
  return "";
}
