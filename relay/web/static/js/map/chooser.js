/**
 * The area chooser: search, map and table over one selection, which is in the form as hidden
 * fields. This and what it needs is loaded once somebody comes near it; the map itself, which is
 * large, only where it can be drawn and isn't unwanted.
 * @module
 */
import * as h3 from "../../vendor/h3.js";
import { Refused, t } from "../page.js";
import { Area } from "./area.js";
import { make } from "./elements.js";
import { FreeArea } from "./free_area.js";
import { searchBox } from "./search.js";
import { countText, problemText } from "./selection_text.js";
import { areaTables } from "./table.js";
import { hasWebGl } from "./webgl.js";

/** @typedef {import("./area.js").Jurisdiction} Jurisdiction */
/** @typedef {import("./selection.js").Offer} Offer */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {{has_streets: boolean, attribution: string, has_places: boolean, base: string}} Given what there is to draw and to search, and under which path */
/** @typedef {{said: (offer: Offer) => void, preview: (text: string) => void}} Told */
/** @typedef {import("./view.js").OpenMap} OpenMap */

const WITHOUT_MAP = "doorward.no-map";

/**
 * The area of a request.
 * @param {HTMLElement} place where it is drawn
 * @param {string[]} chosen cells to begin with
 */
export async function openChooser(place, chosen) {
  const given = await load();
  const area = new Area(h3, given);
  const offer = area.add(chosen.filter((cell) => area.isCell(cell)));
  showChoosing(place, area, { ...given, base: "/agency" }, {
    begun: chosen.length > 0 ? offer : null,
    fields: () => [...area.chosen].map((cell) => make("input", { type: "hidden", name: "cell", value: cell })),
    where: (cell) => t(area.isInside(cell) ? "map.is_inside" : "map.is_outside", { name: area.nameOf(cell) }),
  });
  return area;
}

/**
 * A jurisdiction that is drawn.
 * @param {HTMLElement} place where it is drawn
 * @param {Given & {cells: string[], max_cells: number}} given with the cells to begin with
 */
export function openDrawing(place, given) {
  const area = new FreeArea(h3, given);
  area.chosen = new Set(given.cells.filter((cell) => area.isCell(cell)));
  const takeOut = (/** @type {Event} */ event) => {
    area.isTakingOut = /** @type {HTMLInputElement} */ (event.target).checked;
  };
  showChoosing(place, area, given, {
    begun: null,
    fields: () => [make("input", { type: "hidden", name: "area", value: [...area.chosen].sort().join("\n") })],
    where: (cell) => t("draw.cell", { name: area.nameOf(cell) }),
    tool: make("label", { class: "take-out" }, make("input", { type: "checkbox", id: "take-out", onchange: takeOut }), " ", t("draw.take_out")),
  });
  return area;
}

/**
 * @param {HTMLElement} place @param {Selection} area @param {Given} given
 * @param {{begun: Offer | null, fields: () => HTMLElement[], where: (cell: string) => string, tool?: HTMLElement}} how `fields` are what the form sends
 */
function showChoosing(place, area, given, { begun, fields: fieldsOf, where, tool }) {
  const status = make("p", { id: "area-status", role: "status", class: "area-status" });
  const problem = make("p", { id: "area-problem", role: "alert", class: "warn-text" });
  const fields = make("div", { hidden: true });
  const clear = make("button", { type: "button", id: "clear-area", onclick: () => area.clear() }, t("map.clear"));
  const undo = make("button", { type: "button", id: "undo-area", onclick: () => map.undo() || area.undo() }, t("map.undo"));
  const mapPlace = make("div", { id: "map-place" });
  const said = (/** @type {Offer} */ one) => {
    problem.textContent = problemText(area, one);
  };
  const preview = (/** @type {string} */ text) => {
    problem.replaceChildren(); // it was of what was drawn before
    status.textContent = text || countText(area, area.chosen.size, area.km2());
    undo.disabled = text === "" && !area.canUndo;
  };
  const changed = () => {
    preview("");
    fields.replaceChildren(...fieldsOf());
    clear.hidden = area.chosen.size === 0;
  };
  const map = new MapSwitch(mapPlace, area, given, { said, preview });
  area.addEventListener("change", changed);
  changed();
  if (begun !== null) said(begun);
  const box = searchBox(area, given, { said, where, show: (point) => map.show(point) });
  const buttons = make("div", { class: "area-buttons" }, undo, clear);
  place.replaceChildren(box, map.button, mapPlace, tool ?? "", make("div", { class: "area-count" }, status, buttons), problem, areaTables(area, { said }), fields);
  map.begin();
}

/** @returns {Promise<Jurisdiction & Omit<Given, "base">>} */
async function load() {
  const response = await fetch("/agency/area", { headers: { Accept: "application/json" } }).catch(() => null);
  if (response === null || !response.ok) throw new Refused(t("offline"));
  return response.json();
}

/** The map, as long as it is wanted and can be drawn. */
class MapSwitch {
  /** @param {HTMLElement} place @param {Selection} area @param {Given} given @param {Told} told */
  constructor(place, area, given, told) {
    this.place = place;
    this.area = area;
    this.given = given;
    this.told = told;
    /** @type {Promise<OpenMap> | null} */
    this.open = null;
    /** @type {OpenMap | null} */
    this.map = null;
    this.button = make("button", { type: "button", id: "map-switch", class: "quiet", onclick: () => this.toggle() });
  }

  begin() {
    if (!hasWebGl()) {
      this.button.hidden = true;
      this.place.replaceChildren(make("p", { class: "notice", id: "no-webgl" }, t("map.no_webgl")));
    } else if (localStorage.getItem(WITHOUT_MAP) === null) this.draw();
    else this.label();
  }

  toggle() {
    if (this.open === null) {
      localStorage.removeItem(WITHOUT_MAP);
      this.draw();
      return;
    }
    localStorage.setItem(WITHOUT_MAP, "1");
    void this.open.then((map) => map.close(), () => null);
    this.open = this.map = null;
    this.place.replaceChildren();
    this.label();
  }

  draw() {
    this.open = import("./view.js").then(({ openMap }) => openMap(this.place, this.area, this.given, this.told));
    this.open.then(
      (map) => (this.map = map),
      (error) => {
        console.warn("map", error);
        this.place.replaceChildren(make("p", { class: "notice" }, t("map.failed")));
      },
    );
    this.label();
  }

  label() {
    this.button.textContent = t(this.open === null ? "map.show" : "map.hide");
  }

  /** Takes back the last corner of what is being drawn; tells whether there was one. */
  undo() {
    return this.map?.undo() ?? false;
  }

  /** @param {[number, number]} point */
  show(point) {
    void this.open?.then((map) => map.show(point), () => null);
  }
}
