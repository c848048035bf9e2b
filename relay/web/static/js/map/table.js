/**
 * The selection as tables with pages: the selected cells, with a button for each direction of
 * growth, and for a request all cells of the jurisdiction. The map's equal without a map.
 * @module
 */
import { t } from "../page.js";
import { Area } from "./area.js";
import { make } from "./elements.js";

/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./selection.js").Offer} Offer */

const PAGE_ROWS = 25;
const WINDS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"];

/** @param {Selection} area @param {{said: (offer: Offer) => void}} how `said` tells what came of choosing */
export function areaTables(area, { said }) {
  const chosen = new PagedTable("map.chosen", ["map.cell", "map.grow", "map.change"], (cell) => chosenRow(area, cell, said));
  chosen.place.id = "chosen-cells";
  const drawChosen = () => chosen.draw([...area.chosen], t(area instanceof Area ? "map.none_chosen" : "draw.none_chosen"));
  const all = area instanceof Area ? allCells(area, said) : null;
  area.addEventListener("change", () =>
    keepingFocus(() => {
      drawChosen();
      all?.draw();
    }),
  );
  drawChosen();
  // A jurisdiction has so many that they would hide what comes after them.
  const listed = all === null ? make("details", {}, make("summary", {}, t("map.chosen")), chosen.place) : chosen.place;
  return make("div", { id: "area-table" }, listed, all?.details);
}

/** All that may be chosen, drawn once it is opened. @param {Area} area @param {(offer: Offer) => void} said */
function allCells(area, said) {
  const { jurisdiction } = area;
  const table = new PagedTable("map.all_cells", ["map.cell", "map.state", "map.change"], (cell) => anyRow(area, cell, said));
  const details = make("details", { id: "all-cells" }, make("summary", {}, t("map.all_cells_count", { count: jurisdiction.length })), table.place);
  const draw = () => details.open && table.draw(jurisdiction, "");
  details.addEventListener("toggle", draw);
  return { details, draw };
}

/** Keeps the focus where it was, or as near as there is something. @param {() => void} draw */
function keepingFocus(draw) {
  const key = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  draw();
  if (key === undefined || document.activeElement !== document.body) return;
  const again = document.querySelector(`[data-key="${key}"]:not(:disabled)`) ?? document.getElementById("place-search");
  if (again instanceof HTMLElement) again.focus();
}

/** Rows of cells, some at a time. */
class PagedTable {
  page = 0;

  /** @param {string} caption @param {string[]} columns @param {(cell: string) => HTMLElement} row */
  constructor(caption, columns, row) {
    this.caption = caption;
    this.columns = columns;
    this.row = row;
    this.place = make("div");
  }

  /** @param {string[]} cells @param {string} empty what is said if there are none */
  draw(cells, empty) {
    const pages = Math.max(1, Math.ceil(cells.length / PAGE_ROWS));
    this.page = Math.min(this.page, pages - 1);
    if (cells.length === 0) {
      this.place.replaceChildren(make("p", { class: "empty" }, empty));
      return;
    }
    const rows = cells.slice(this.page * PAGE_ROWS, (this.page + 1) * PAGE_ROWS).map(this.row);
    const caption = make("caption", { class: "visually-hidden" }, t(this.caption));
    const table = make("table", { class: "stack" }, caption, header(...this.columns), make("tbody", {}, rows));
    this.place.replaceChildren(make("div", { class: "table-scroll" }, table), ...(pages > 1 ? [this.pager(pages, cells, empty)] : []));
  }

  /** @param {number} pages @param {string[]} cells @param {string} empty */
  pager(pages, cells, empty) {
    const turn = (/** @type {number} */ by) => () => {
      this.page += by;
      keepingFocus(() => this.draw(cells, empty));
    };
    const button = (/** @type {"back" | "on"} */ way, /** @type {number} */ by, /** @type {boolean} */ disabled) =>
      make("button", { type: "button", "data-key": way, disabled, onclick: turn(by) }, t(`map.${way}`));
    return make(
      "p",
      { class: "pages" },
      button("back", -1, this.page === 0),
      make("span", { role: "status" }, t("map.page", { page: this.page + 1, pages })),
      button("on", 1, this.page === pages - 1),
    );
  }
}

/** @param {...string} keys */
function header(...keys) {
  return make("thead", {}, make("tr", {}, keys.map((key) => make("th", { scope: "col" }, t(key)))));
}

/** @param {Selection} area @param {string} cell @param {(offer: Offer) => void} said */
function chosenRow(area, cell, said) {
  const buttons = area.neighbours(cell).map(({ cell: other, degrees }) => {
    const wind = t(`map.wind.${WINDS[Math.round(degrees / 45) % 8]}`);
    const state = area.stateOf(other);
    return make(
      "button",
      {
        type: "button",
        "data-key": `${cell}-${other}`,
        disabled: state !== "free",
        title: t(`map.neighbour.${state}`, { wind }),
        "aria-label": t(`map.neighbour.${state}`, { wind }),
        onclick: () => said(area.add([other])),
      },
      wind,
    );
  });
  return make(
    "tr",
    {},
    name(area, cell),
    make("td", { class: "winds", "data-label": t("map.grow") }, make("div", {}, buttons)),
    make("td", { "data-label": t("map.change") }, make("button", { type: "button", "data-key": `${cell}-out`, "aria-label": t("map.remove_cell", { name: area.nameOf(cell) }), onclick: () => area.remove(cell) }, t("map.remove"))),
  );
}

/** @param {Selection} area @param {string} cell @param {(offer: Offer) => void} said */
function anyRow(area, cell, said) {
  const state = area.stateOf(cell);
  const isChosen = state === "chosen";
  const words = isChosen ? ["map.remove", "map.remove_cell"] : ["map.add", "map.add_cell"];
  return make(
    "tr",
    {},
    name(area, cell),
    make("td", { "data-label": t("map.state") }, t(`map.state.${state}`)),
    make("td", { "data-label": t("map.change") }, make("button", { type: "button", "data-key": `all-${cell}`, "aria-label": t(words[1], { name: area.nameOf(cell) }), onclick: () => said(area.toggle(cell)) }, t(words[0]))),
  );
}

/** Where a cell is, its number behind that, and whether others go with it. @param {Selection} area @param {string} cell */
function name(area, cell) {
  const [lat, lon] = area.centre(cell).map((degrees) => degrees.toFixed(4));
  const goesWith = area.groupOf(cell).length > 1;
  const where = t(goesWith ? "map.centre_merged" : "map.centre", { lat, lon });
  return make("th", { scope: "row" }, make("details", { class: "cell-id" }, make("summary", {}, area.nameOf(cell)), make("code", {}, cell)), make("small", {}, where));
}
