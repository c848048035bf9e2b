/**
 * The search over the map and the table: coordinates and cells are parsed here, names are looked
 * up in the relay's own list, so that nobody else learns the query.
 * @module
 */
import { t } from "../page.js";
import { make } from "./elements.js";
import { parsePlace } from "./place_parser.js";

/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./selection.js").Offer} Offer */
/** @typedef {import("./selection.js").Point} Point */
/** @typedef {{name: string, lat: number, lon: number}} Place */
/** @typedef {{has_places: boolean, base: string}} Given `base` is the path under which places are looked up */
/** @typedef {{said: (offer: Offer) => void, show: (point: Point) => void, where: (cell: string) => string}} Told `where` says where a cell lies */

/** @param {Selection} area @param {Given} given @param {Told} told */
export function searchBox(area, given, told) {
  const results = make("ul", { class: "rows", id: "places", "aria-live": "polite" });
  const input = make("input", { id: "place-search", type: "search", autocomplete: "off", spellcheck: false, maxlength: 200, "aria-describedby": "place-hint" });
  const find = async () => {
    if (input.value.trim() === "") return results.replaceChildren();
    results.replaceChildren(...(await found(area, input.value, given, told)));
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the form isn't handed in by this
    void find();
  });
  const hint = t(given.has_places ? "map.search_hint" : "map.search_hint_no_names");
  return make(
    "div",
    { class: "search" },
    make("label", { for: "place-search" }, t("map.search")),
    make("div", { class: "search-line" }, input, make("button", { type: "button", id: "find-place", onclick: find }, t("map.find"))),
    make("p", { id: "place-hint", class: "hint" }, hint),
    results,
  );
}

/** @param {Selection} area @param {string} text @param {Given} given @param {Told} told */
async function found(area, text, given, told) {
  const typed = parsePlace(text);
  if (typed !== null && "cells" in typed) {
    const cells = typed.cells.filter((cell) => area.isCell(cell));
    if (cells.length < typed.cells.length) return [nothing("map.no_such_cell")];
    return cells.map((cell) => row(area, cell, cell, told));
  }
  if (typed !== null) return [row(area, pointText(typed.point), area.cellAt(typed.point), told)];
  if (!given.has_places) return [nothing("map.not_a_place")];
  const places = await lookUp(given.base, text);
  if (places === null) return [nothing("offline")];
  if (places.length === 0) return [nothing("map.no_such_name")];
  return places.map(({ name, lat, lon }) => row(area, name, area.cellAt([lat, lon]), told));
}

/** @param {string} base @param {string} text @returns {Promise<Place[] | null>} */
async function lookUp(base, text) {
  const answer = await fetch(`${base}/places?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } }).catch(() => null);
  return answer?.ok ? (await answer.json()).places : null;
}

/** @param {Selection} area @param {string} name @param {string} cell @param {Told} told */
function row(area, name, cell, { said, show, where }) {
  const add = make("button", { type: "button", "data-cell": cell, "aria-label": t("map.add_place", { name }), onclick: () => said(area.add([cell])) }, t("map.add"));
  return make(
    "li",
    {},
    make("div", { class: "grow" }, make("strong", {}, name), make("br"), make("span", { class: "muted" }, where(cell))),
    make("button", { type: "button", "aria-label": t("map.show_place", { name }), onclick: () => show(area.centre(cell)) }, t("map.go")),
    area.isInside(cell) && add,
  );
}

/** @param {string} key */
function nothing(key) {
  return make("li", { class: "empty" }, t(key));
}

/** @param {Point} point */
function pointText(point) {
  return point.map((degrees) => degrees.toFixed(5)).join(", ");
}
