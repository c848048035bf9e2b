/**
 * The drawing tool of the map: a rectangle or a circle by dragging, a polygon by clicks, single
 * cells by clicks. What is being drawn is shown with the cells that it would choose; Escape ends
 * it, and Backspace takes the last corner back.
 * @module
 */
import { circle, rectangle } from "./selection.js";

/** @typedef {import("./selection.js").Point} Point */
/** @typedef {import("maplibre-gl").Map} GlMap */
/** @typedef {import("maplibre-gl").MapMouseEvent | import("maplibre-gl").MapTouchEvent} GlEvent */
/** @typedef {"move" | "cells" | "rectangle" | "circle" | "polygon"} Mode */
/** @typedef {{shape: (ring: Point[] | null) => void, done: (ring: Point[]) => boolean, cell: (point: Point) => void}} Told `shape` while it is drawn (null: nothing is), `done` at its end: false keeps a polygon's corners, to be mended */

/** So close to its first corner a click closes a polygon. */
const CLOSE_PX = 12;
/** A drag shorter than this was a click. */
const MIN_DRAG_PX = 6;

export class Drawing {
  /** @type {Mode} */
  mode = "move";
  /** @type {Point[]} */
  corners = [];

  /** @param {GlMap} map @param {Told} told */
  constructor(map, told) {
    this.map = map;
    this.told = told;
    for (const name of /** @type {const} */ (["mousedown", "touchstart"])) map.on(name, (event) => this.begin(event));
    for (const name of /** @type {const} */ (["mousemove", "touchmove"])) map.on(name, (event) => this.move(event));
    for (const name of /** @type {const} */ (["mouseup", "touchend"])) map.on(name, (event) => this.end(event));
    map.on("touchcancel", () => this.letGo());
    map.on("click", (event) => this.click(event));
    map.on("dblclick", () => this.close());
    map.getContainer().addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.cancel();
      if (event.key === "Enter" && this.corners.length > 2) this.close();
      if (event.key === "Backspace" && this.undo()) event.preventDefault();
    });
  }

  /** @param {Mode} mode */
  use(mode) {
    this.cancel();
    this.mode = mode;
    const drags = mode === "rectangle" || mode === "circle";
    for (const handler of [this.map.dragPan, this.map.touchZoomRotate]) drags ? handler.disable() : handler.enable();
    // Else the page would take a finger that draws for one that scrolls.
    for (const element of [this.map.getCanvas(), this.map.getCanvasContainer()]) element.style.touchAction = drags ? "none" : "";
    mode === "polygon" ? this.map.doubleClickZoom.disable() : this.map.doubleClickZoom.enable();
    this.map.getCanvas().style.cursor = mode === "move" ? "" : "crosshair";
  }

  cancel() {
    this.corners = [];
    this.told.shape(null);
  }

  /** Leaves a rectangle or circle that was begun; a polygon's corners stay. */
  letGo() {
    if (this.isDragging) this.cancel();
  }

  /** Takes a polygon's last corner back; tells whether there was one. */
  undo() {
    if (this.mode !== "polygon" || this.corners.length === 0) return false;
    this.corners = this.corners.slice(0, -1);
    this.told.shape(this.corners.length === 0 ? null : this.corners);
    return true;
  }

  get isDragging() {
    return (this.mode === "rectangle" || this.mode === "circle") && this.corners.length > 0;
  }

  /** @param {GlEvent} event */
  begin(event) {
    if (this.mode !== "rectangle" && this.mode !== "circle") return;
    event.preventDefault();
    if ("points" in event && event.points.length > 1) return this.letGo(); // a second finger isn't a corner
    this.corners = [pointOf(event)];
  }

  /** @param {GlEvent} event */
  move(event) {
    if (this.isDragging) this.told.shape(this.dragged(event));
    else if (this.mode === "polygon" && this.corners.length > 0) this.told.shape([...this.corners, pointOf(event)]);
  }

  /** @param {GlEvent} event */
  end(event) {
    if (!this.isDragging) return;
    const ring = this.dragged(event);
    const isClick = this.map.project(glPoint(this.corners[0])).dist(event.point) < MIN_DRAG_PX;
    this.cancel();
    if (!isClick) this.told.done(ring);
  }

  /** @param {GlEvent} event */
  click(event) {
    if (this.mode === "cells") this.told.cell(pointOf(event));
    if (this.mode !== "polygon") return;
    const [first, , third] = this.corners;
    if (third !== undefined && this.map.project(glPoint(first)).dist(event.point) < CLOSE_PX) return this.close();
    this.corners.push(pointOf(event));
    this.told.shape(this.corners);
  }

  /** Ends a polygon; a double click has put its last corner twice. */
  close() {
    if (this.mode !== "polygon") return;
    const ring = this.corners.filter((corner, index) => index === 0 || String(corner) !== String(this.corners[index - 1]));
    if (ring.length > 2 && !this.told.done(ring)) {
      this.corners = ring;
      return;
    }
    this.cancel();
  }

  /** @param {GlEvent} event */
  dragged(event) {
    const shape = this.mode === "circle" ? circle : rectangle;
    return shape(this.corners[0], pointOf(event));
  }
}

/** @param {GlEvent} event @returns {Point} */
function pointOf({ lngLat }) {
  const { lat, lng } = lngLat.wrap();
  return [lat, lng];
}

/** @param {Point} point @returns {[number, number]} */
export function glPoint([lat, lon]) {
  return [lon, lat];
}
