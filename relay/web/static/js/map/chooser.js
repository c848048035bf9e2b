/**
 * Choosing the area of a request: search, map and table over one selection, which stands in the form
 * as hidden fields. This and what it needs is loaded once somebody comes near it; the map itself,
 * which is large, only where it can be drawn and isn't unwanted.
 * @module
 */
import * as h3 from "../../vendor/h3.js";
import { Refused, t } from "../page.js";
import { Area } from "./area.js";
import { make } from "./elements.js";
import { searchBox } from "./search.js";
import { areaTables } from "./table.js";

/** @typedef {import("./area.js").Jurisdiction} Jurisdiction */
/** @typedef {import("./area.js").Offer} Offer */
/** @typedef {Jurisdiction & {has_streets: boolean, attribution: string, has_places: boolean}} Given */

const WITHOUT_MAP = "doorward.no-map";

/**
 * @param {HTMLElement} place where it is drawn
 * @param {string[]} chosen cells to begin with
 * @returns {Promise<Area>}
 */
export async function openChooser(place, chosen) {
  const given = await load();
  const area = new Area(h3, given);
  const offer = area.add(chosen.filter((cell) => area.isCell(cell)));
  const status = make("p", { id: "area-status", role: "status", class: "area-status" });
  const problem = make("p", { id: "area-problem", role: "alert", class: "warn-text" });
  const fields = make("div", { hidden: true });
  const said = (/** @type {Offer} */ one) => {
    problem.textContent = problemText(area, one);
  };
  const count = () => {
    status.textContent = countText(area, area.chosen.size, area.km2());
    fields.replaceChildren(...[...area.chosen].map((cell) => make("input", { type: "hidden", name: "cell", value: cell })));
  };
  const clear = make("button", { type: "button", id: "clear-area", onclick: () => area.clear() }, t("map.clear"));
  const mapPlace = make("div", { id: "map-place" });
  const counted = () => {
    count();
    clear.hidden = area.chosen.size === 0;
  };
  area.addEventListener("change", counted);
  area.addEventListener("change", () => problem.replaceChildren());
  counted();
  if (chosen.length > 0) said(offer);
  const map = new MapSwitch(mapPlace, area, given, { said, preview: (text) => (status.textContent = text || countText(area, area.chosen.size, area.km2())) });
  const box = searchBox(area, given, { said, show: (point) => map.show(point) });
  place.replaceChildren(box, map.button, mapPlace, make("div", { class: "area-count" }, status, clear), problem, areaTables(area, { said }), fields);
  map.begin();
  return area;
}

/** @returns {Promise<Given>} */
async function load() {
  const response = await fetch("/agency/area", { headers: { Accept: "application/json" } }).catch(() => null);
  if (response === null || !response.ok) throw new Refused(t("offline"));
  return response.json();
}

/** @param {Area} area @param {number} count @param {number} km2 */
export function countText(area, count, km2) {
  const size = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
  return t("map.count", { count, most: area.most, size: size.format(km2) });
}

/** Why something wasn't chosen, or "". @param {Area} area @param {Offer} offer */
export function problemText(area, { cells, outside, isTooMany }) {
  if (isTooMany) return t("map.too_many", { count: area.chosen.size + cells.length, most: area.most });
  if (outside.length > 0) return t(cells.length > 0 ? "map.some_outside" : "map.outside", { count: outside.length });
  return "";
}

/** The map, as long as it is wanted and can be drawn. */
class MapSwitch {
  /**
   * @param {HTMLElement} place @param {Area} area @param {Given} given
   * @param {{said: (offer: Offer) => void, preview: (text: string) => void}} told
   */
  constructor(place, area, given, told) {
    this.place = place;
    this.area = area;
    this.given = given;
    this.told = told;
    /** @type {Promise<{show: (point: [number, number]) => void, close: () => void}> | null} */
    this.open = null;
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
    this.open = null;
    this.place.replaceChildren();
    this.label();
  }

  draw() {
    this.open = import("./view.js").then(({ openMap }) => openMap(this.place, this.area, this.given, this.told));
    this.open.catch((error) => {
      console.warn("map", error);
      this.place.replaceChildren(make("p", { class: "notice" }, t("map.failed")));
    });
    this.label();
  }

  label() {
    this.button.textContent = t(this.open === null ? "map.show" : "map.hide");
  }

  /** @param {[number, number]} point */
  show(point) {
    void this.open?.then((map) => map.show(point), () => null);
  }
}

function hasWebGl() {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}
