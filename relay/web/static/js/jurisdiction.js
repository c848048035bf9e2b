/**
 * The page on which an agency draws its jurisdiction. What is drawn goes into a form as cells; the
 * relay judges it like a file or a list of corners. Until this tab is closed it is kept here too, so
 * that an answer without the map (too many looks, no connection) loses nothing.
 * @module
 */
import { make } from "./map/elements.js";
import { loadWhenNear } from "./map/lazy_load.js";
import { pageData, t } from "./page.js";

const KEPT = `doorward.drawing.${location.pathname}`;

const place = document.getElementById("area");
if (place !== null) {
  loadWhenNear(place, async () => {
    const { openDrawing } = await import("./map/chooser.js");
    const given = pageData("drawing");
    const area = openDrawing(place, given);
    const cells = kept().filter((cell) => area.isCell(cell));
    if (cells.length > 0 && String(cells) !== String([...given.cells].sort())) offer(place, area, cells);
    area.addEventListener("change", () => keep([...area.chosen].sort()));
  });
}

/** @param {HTMLElement} place @param {import("./map/free_area.js").FreeArea} area @param {string[]} cells */
function offer(place, area, cells) {
  const take = () => {
    area.replace(cells);
    notice.remove();
    document.getElementById("undo-area")?.focus();
  };
  const notice = make("p", { class: "notice", id: "kept-drawing" }, t("draw.kept", { count: cells.length }), " ", make("button", { type: "button", onclick: take }, t("draw.take_kept")));
  place.before(notice);
}

/** @returns {string[]} */
function kept() {
  try {
    return (sessionStorage.getItem(KEPT) ?? "").split("\n");
  } catch {
    return []; // a browser that keeps nothing
  }
}

/** @param {string[]} cells */
function keep(cells) {
  try {
    sessionStorage.setItem(KEPT, cells.join("\n"));
  } catch (error) {
    console.warn("kept drawing", error);
  }
}
