/**
 * The area as tables: the cells that are chosen, with a button for each direction in which it may
 * grow, and all cells of the jurisdiction, page by page. The map's equal without a map.
 * @module
 */
import { t } from "../page.js";
import { make } from "./elements.js";

/** @typedef {import("./area.js").Area} Area */
/** @typedef {import("./area.js").Offer} Offer */

const PAGE_ROWS = 25;
const WINDS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"];

/**
 * @param {Area} area
 * @param {{said: (offer: Offer) => void}} how `said` tells what came of choosing
 */
export function areaTables(area, { said }) {
  const chosen = make("div", { class: "table-scroll", id: "chosen-cells" });
  const all = make("div");
  let page = 0;

  /** Keeps the focus where it was, or as near as there is something. @param {() => void} draw */
  const keepingFocus = (draw) => {
    const key = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
    draw();
    if (key === undefined || document.activeElement !== document.body) return;
    const again = document.querySelector(`[data-key="${key}"]`) ?? document.getElementById("place-search");
    if (again instanceof HTMLElement) again.focus();
  };

  const drawChosen = () => {
    const rows = [...area.chosen].map((cell) => chosenRow(area, cell, said));
    chosen.replaceChildren(
      rows.length === 0
        ? make("p", { class: "empty" }, t("map.none_chosen"))
        : make(
            "table",
            { class: "stack" },
            make("caption", { class: "visually-hidden" }, t("map.chosen")),
            header("map.cell", "map.grow", "map.change"),
            make("tbody", {}, rows),
          ),
    );
  };

  const drawAll = () => {
    const { jurisdiction } = area;
    const pages = Math.max(1, Math.ceil(jurisdiction.length / PAGE_ROWS));
    page = Math.min(page, pages - 1);
    const shown = jurisdiction.slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS);
    const turn = (/** @type {number} */ by) => () => {
      page += by;
      keepingFocus(drawAll);
    };
    all.replaceChildren(
      make(
        "div",
        { class: "table-scroll" },
        make(
          "table",
          { class: "stack" },
          make("caption", { class: "visually-hidden" }, t("map.all_cells")),
          header("map.cell", "map.state", "map.change"),
          make("tbody", {}, shown.map((cell) => anyRow(area, cell, said))),
        ),
      ),
      pages > 1 &&
        make(
          "p",
          { class: "pages" },
          make("button", { type: "button", "data-key": "back", disabled: page === 0, onclick: turn(-1) }, t("map.back")),
          make("span", { role: "status" }, t("map.page", { page: page + 1, pages })),
          make("button", { type: "button", "data-key": "on", disabled: page === pages - 1, onclick: turn(1) }, t("map.on")),
        ) || "",
    );
  };

  const details = make("details", { id: "all-cells" }, make("summary", {}, t("map.all_cells_count", { count: area.jurisdiction.length })), all);
  const draw = () =>
    keepingFocus(() => {
      drawChosen();
      if (details.open) drawAll();
    });
  details.addEventListener("toggle", () => details.open && drawAll());
  area.addEventListener("change", draw);
  draw();
  return make("div", { id: "area-table" }, chosen, details);
}

/** @param {...string} keys */
function header(...keys) {
  return make("thead", {}, make("tr", {}, keys.map((key) => make("th", { scope: "col" }, t(key)))));
}

/** @param {Area} area @param {string} cell @param {(offer: Offer) => void} said */
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
    make("td", { "data-label": t("map.change") }, make("button", { type: "button", "data-key": `${cell}-out`, "aria-label": t("map.remove_cell", { cell }), onclick: () => area.remove(cell) }, t("map.remove"))),
  );
}

/** @param {Area} area @param {string} cell @param {(offer: Offer) => void} said */
function anyRow(area, cell, said) {
  const state = area.stateOf(cell);
  const isChosen = state === "chosen";
  const words = isChosen ? ["map.remove", "map.remove_cell"] : ["map.add", "map.add_cell"];
  return make(
    "tr",
    {},
    name(area, cell),
    make("td", { "data-label": t("map.state") }, t(`map.state.${state}`)),
    make("td", { "data-label": t("map.change") }, make("button", { type: "button", "data-key": `all-${cell}`, "aria-label": t(words[1], { cell }), onclick: () => said(area.toggle(cell)) }, t(words[0]))),
  );
}

/** A cell's number, where it is, and whether others go with it. @param {Area} area @param {string} cell */
function name(area, cell) {
  const [lat, lon] = area.centre(cell).map((degrees) => degrees.toFixed(4));
  const goesWith = area.groupOf(cell).length > 1;
  const where = t(goesWith ? "map.centre_merged" : "map.centre", { lat, lon });
  return make("th", { scope: "row" }, make("code", {}, cell), " ", make("small", {}, where));
}
