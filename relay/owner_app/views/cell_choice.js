/**
 * The choice of a part of the district: a drawing of its cells to touch, and the same as a list of
 * words, of which one is chosen. Which one lies at one's own door is worked out in this browser.
 * @module
 */
import { drawingOf, inReadingOrder, partsOf } from "../feed_cells.js";
import { fill, h, svg } from "../dom.js";
import { t } from "../i18n.js";

/** @typedef {import("../feed.js").District} District */

/** What a part of a district is called: "North-east of Lake Morton". @param {District | undefined} district @param {string} cell */
export function partText(district, cell) {
  if (district === undefined || !district.cells.includes(cell)) return t("neighbours.part.elsewhere");
  if (district.cells.length === 1) return district.name;
  const part = partsOf(district.cells).get(cell);
  if (part === undefined) return district.name;
  const words = t(`neighbours.part.${part.side}`, { district: district.name });
  return part.number === 0 ? words : t("neighbours.part.numbered", { part: words, number: part.number });
}

/**
 * @param {District} district @param {{chosen: string, around: string | null, onchange: (cell: string) => void}} how `around`: the cell of one's own door
 */
export function cellChoice(district, { chosen, around, onchange }) {
  const { width, height, outlines } = drawingOf(district.cells);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "cells" });
  const draw = (/** @type {string} */ now) =>
    fill(
      drawing,
      outlines.map(({ cell, points }) => {
        const classes = ["cell", cell === now && "chosen", cell === around && "around"].filter(Boolean).join(" ");
        const outline = svg("polygon", { points: points.map((point) => point.join(",")).join(" "), class: classes });
        outline.addEventListener("click", () => choose(cell));
        return outline;
      }),
    );
  const choose = (/** @type {string} */ cell) => {
    const input = fieldset.querySelector(`input[value="${cell}"]`);
    if (input instanceof HTMLInputElement) input.checked = true;
    draw(cell);
    onchange(cell);
  };
  const choices = inReadingOrder(district.cells).map((cell) => {
    const input = h("input", { type: "radio", name: "cell", value: cell, checked: cell === chosen, onchange: () => choose(cell) });
    return h("label", {}, input, partText(district, cell), cell === around && h("span", { class: "muted" }, t("neighbours.part.yours")));
  });
  const fieldset = h("fieldset", { id: "where-cells" }, h("legend", {}, t("neighbours.where.legend", { district: district.name })), choices);
  draw(chosen);
  return h("div", { class: "cell-choice" }, drawing, fieldset);
}
