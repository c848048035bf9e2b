/**
 * The finder of a map cell, a doorbell's or a theft's: by coordinates that are typed or pasted, or by
 * where this device is now. All of it happens here: coordinates are neither kept nor sent.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { parsePlace } from "../vendor/place_parser.js";
import { guarded } from "./parts.js";

/** @typedef {import("../vendor/place_parser.js").Point} Point */

/** @typedef {{resolution?: number, typed?: string, find?: string, found?: string, stays?: string}} Kind the cells' resolution, and the names of texts */

const RESOLUTION = 9;
/** A cell's edge: with less, one may stand in the next cell. */
const EXACT_ENOUGH_M = 200;
const WAIT_MS = 20_000;
/** GeolocationPositionError.code, as the standard numbers them. @type {Record<number, string>} */
const FAILED = { 1: "place.refused", 2: "place.unavailable", 3: "place.timeout" };

export class PlaceFinder {
  /** @param {AbortSignal} left @param {(cell: string) => void} onFound @param {Kind} [kind] a doorbell's place, unless it says otherwise */
  constructor(left, onFound, { resolution = RESOLUTION, typed = "place.typed", find: findWords = "place.find", found = "place.found", stays = "place.stays" } = {}) {
    this.left = left;
    this.onFound = onFound;
    this.resolution = resolution;
    this.words = { found, stays };
    this.said = h("div", { "aria-live": "polite", id: "place-said" });
    this.typed = h("input", { id: "place-typed", type: "text", autocomplete: "off", spellcheck: "false", maxlength: 80, placeholder: "59.3293, 18.0686", "aria-describedby": "place-typed-help" });
    const find = guarded(this.said, () => this.#find());
    this.typed.addEventListener("keydown", (event) => {
      if (event.key === "Enter") void find(event); // else the settings' form would be sent
    });
    this.node = h(
      "div",
      { class: "setting", id: "place-finder" },
      h("label", { for: "place-typed" }, t(typed)),
      this.typed,
      h("p", { class: "hint", id: "place-typed-help" }, t("place.typed_help")),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", id: "place-find", onclick: find }, t(findWords)),
        h("button", { type: "button", id: "place-here", onclick: guarded(this.said, () => this.#here()) }, t("place.here")),
      ),
      this.said,
    );
  }

  async #find() {
    const found = parsePlace(this.typed.value);
    if (found !== null && "point" in found) return this.#take(found.point);
    const isOneCell = found !== null && "cells" in found && found.cells.length === 1;
    if (!isOneCell) return this.#problem(this.typed.value.trim() === "" ? "place.empty" : "place.unclear");
    const { cellToParent, getResolution, isValidCell } = await import("../vendor/h3.js");
    const [cell] = found.cells;
    if (!isValidCell(cell) || getResolution(cell) < this.resolution) return this.#problem("place.unclear");
    this.#give(cellToParent(cell, this.resolution));
  }

  async #here() {
    if (!("geolocation" in navigator)) return this.#problem("place.unavailable");
    fill(this.said, h("p", { class: "muted", id: "place-looking", role: "status" }, t("place.looking")));
    const answer = await position();
    if (this.left.aborted) return;
    if (typeof answer === "string") return this.#problem(answer);
    const { latitude, longitude, accuracy } = answer.coords;
    await this.#take([latitude, longitude], accuracy);
  }

  /** @param {Point} point @param {number} [accuracyM] */
  async #take([latitude, longitude], accuracyM = 0) {
    const { latLngToCell } = await import("../vendor/h3.js");
    if (this.left.aborted) return;
    this.#give(latLngToCell(latitude, longitude, this.resolution), accuracyM);
  }

  /** @param {string} cell @param {number} [accuracyM] */
  #give(cell, accuracyM = 0) {
    this.onFound(cell);
    const isVague = accuracyM > EXACT_ENOUGH_M;
    fill(
      this.said,
      h("p", { class: "ok", id: "place-found", role: "status" }, t(this.words.found, { cell })),
      isVague && h("p", { class: "warn-text", id: "place-vague" }, t("place.vague", { metres: Math.round(accuracyM) })),
      h("p", { class: "hint" }, t(this.words.stays)),
    );
  }

  /** @param {string} words */
  #problem(words) {
    fill(this.said, h("p", { class: "warn-text", id: "place-problem", role: "alert" }, t(words)));
  }
}

/** Where this device is, or the words for why that isn't known. @returns {Promise<GeolocationPosition | string>} */
function position() {
  return new Promise((done) => {
    const fail = (/** @type {GeolocationPositionError} */ { code }) => done(FAILED[code] ?? "place.unavailable");
    navigator.geolocation.getCurrentPosition(done, fail, { enableHighAccuracy: true, timeout: WAIT_MS, maximumAge: 0 });
  });
}
