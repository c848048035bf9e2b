/**
 * The editor of a picture for neighbours: faces that this browser finds are covered at once and stay
 * so, anything else by boxes or a brush, with a finger, a mouse or (boxes) the arrow keys; and the
 * part that is kept. If faces
 * can't be looked for, all of the picture is covered, and its author shows parts of it.
 * @module
 */
import { segmented } from "../components/controls.js";
import { fill, h, svg } from "../dom.js";
import { findFaces } from "../face_finder.js";
import { t, tn } from "../i18n.js";
import { MIN_BOX_PX, between, exported, faceBox, inside, paint, showsSomething, stepped } from "../painted_picture.js";
import { guarded } from "./parts.js";

/** @typedef {import("../painted_picture.js").Box} Box */
/** @typedef {import("../painted_picture.js").CoveredBox} CoveredBox */
/** @typedef {"cover" | "brush" | "show" | "crop"} Tool */
/** @typedef {{find?: typeof findFaces, onDone: (jpeg: Blob) => void, onLeave: () => void}} How `find`: another finder, in tests */

/** A new box is this share of the picture, in its middle. */
const NEW_SHARE = 0.2;
/** The brush's widths, as shares of the picture's longer side. */
const BRUSH_SHARES = { thin: 0.02, medium: 0.05, thick: 0.1 };
/** A press of an arrow moves a box by this share of the picture's width; with Ctrl by a pixel. */
const STEP_SHARE = 0.02;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class PictureEditor {
  /** @param {OffscreenCanvas} source @param {How} how */
  constructor(source, { find = findFaces, onDone, onLeave }) {
    this.source = source;
    this.size = { width: source.width, height: source.height };
    this.find = find;
    /** @type {import("../painted_picture.js").Painting} covered whole, until faces were looked for */
    this.painting = { covered: [], isWhole: true, shown: [], strokes: [] };
    this.crop = this.#all;
    /** @type {Tool} */
    this.tool = "cover";
    /** @type {keyof typeof BRUSH_SHARES} */
    this.brush = "medium";
    /** @type {import("../painted_picture.js").Stroke | null} the one under way */
    this.stroke = null;
    /** @type {Box | null} what is just being drawn */
    this.drawn = null;
    const { width, height } = this.size;
    this.canvas = h("canvas", { width, height, class: "painted", role: "img", "aria-label": t("neighbours.picture.drawing") });
    this.overlay = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": t("neighbours.picture.parts"), class: "paint-over" });
    this.overlay.addEventListener("pointerdown", (event) => this.#drag(/** @type {PointerEvent} */ (event)));
    this.stage = h("div", { class: height > width ? "paint-stage upright" : "paint-stage" }, this.canvas, this.overlay);
    this.found = h("div", { role: "status", id: "faces-said" }, h("p", { class: "muted" }, t("neighbours.picture.looking")));
    this.tools = h("div");
    this.list = h("ul", { class: "rows", id: "covered-parts" });
    this.said = h("div", { "aria-live": "polite" });
    this.use = h("button", { type: "button", class: "primary", id: "use-picture", disabled: true, onclick: guarded(this.said, async () => onDone(await this.#export())) }, t("neighbours.picture.use"));
    const leave = h("button", { type: "button", id: "leave-picture", onclick: onLeave }, t("neighbours.picture.leave"));
    this.node = h(
      "section",
      { id: "picture-editor", "aria-labelledby": "picture-editor-title" },
      h("h3", { id: "picture-editor-title", tabindex: -1 }, t("neighbours.picture.title")),
      this.found,
      this.stage,
      this.tools,
      this.list,
      h("p", { class: "hint" }, t("neighbours.picture.may_miss")),
      h("p", { class: "hint" }, t("neighbours.picture.keys")),
      h("p", { class: "notice" }, t("neighbours.picture.where")),
      this.said,
      h("div", { class: "actions" }, this.use, leave),
    );
    this.#draw();
    void this.#look();
  }

  get #all() {
    return { x: 0, y: 0, ...this.size };
  }

  /** Looks for faces; whatever fails, nothing is shown but what the author uncovers. */
  async #look() {
    try {
      const faces = await this.find(this.source);
      this.painting = { covered: faces.map((face) => faceBox(face, this.size)), isWhole: false, shown: [], strokes: [] };
      this.#sayFound(faces.length);
    } catch (error) {
      console.warn("faces can't be looked for", error);
      this.tool = "show";
      fill(this.found, h("p", { class: "notice", id: "finder-failed" }, t("neighbours.picture.no_finder")));
    }
    this.node.dataset.faces = this.painting.isWhole ? "failed" : String(this.painting.covered.length);
    this.#drawTools();
    this.#draw();
  }

  /** @param {number} count */
  #sayFound(count) {
    const words = count === 0 ? t("neighbours.picture.none_found") : tn("neighbours.picture.found", count);
    fill(this.found, h("p", {}, words));
  }

  #drawTools() {
    const ways = this.painting.isWhole ? ["show", "crop"] : ["cover", "brush", "crop"];
    const options = ways.map((value) => ({ value, text: t(`neighbours.picture.tool.${value}`) }));
    const tools = segmented({
      name: "paint-tool",
      legend: t("neighbours.picture.tool"),
      options,
      value: this.tool,
      onchange: (value) => {
        this.tool = /** @type {Tool} */ (value);
        this.#drawTools();
        this.#draw();
        /** @type {HTMLElement | null} */ (this.tools.querySelector("input:checked"))?.focus();
      },
    });
    const isCropped = this.crop.width < this.size.width || this.crop.height < this.size.height;
    if (this.tool === "brush") return fill(this.tools, tools, h("p", { class: "hint" }, t("neighbours.picture.how.brush")), this.#brushes());
    const add = h("button", { type: "button", id: "add-part", onclick: () => this.#add() }, t(`neighbours.picture.add.${this.tool}`));
    const whole = isCropped && h("button", { type: "button", id: "crop-none", onclick: () => this.#cropTo(this.#all) }, t("neighbours.picture.crop_none"));
    fill(this.tools, tools, h("p", { class: "hint" }, t(`neighbours.picture.how.${this.tool}`)), h("div", { class: "actions" }, add, whole));
  }

  #brushes() {
    return segmented({
      name: "brush-width",
      legend: t("neighbours.picture.brush"),
      options: Object.keys(BRUSH_SHARES).map((value) => ({ value, text: t(`neighbours.picture.brush.${value}`) })),
      value: this.brush,
      onchange: (value) => {
        this.brush = /** @type {keyof typeof BRUSH_SHARES} */ (value);
      },
    });
  }

  get #strokes() {
    return this.painting.strokes ?? [];
  }

  #draw() {
    const focused = document.activeElement?.getAttribute("data-part");
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const strokes = this.stroke === null ? this.#strokes : [...this.#strokes, this.stroke];
    paint(context, this.source, this.size, { ...this.painting, strokes });
    const { x, y, width, height } = this.crop;
    const { width: w, height: high } = this.size;
    const outside = `M0 0H${w}V${high}H0ZM${x} ${y}V${y + height}H${x + width}V${y}Z`;
    fill(
      this.overlay,
      svg("path", { d: outside, class: "cropped-away", "fill-rule": "evenodd" }),
      this.#boxes.map((box, at) => this.#handle(box, at)),
      this.drawn && svg("rect", { ...this.drawn, class: "being-drawn" }),
    );
    if (focused) this.#focus(focused);
    this.#drawList();
    const isFinding = this.node?.dataset.faces === undefined;
    this.use.toggleAttribute("disabled", isFinding || !showsSomething(this.painting));
  }

  /** What the chosen tool changes. @returns {Box[]} */
  get #boxes() {
    if (this.tool === "crop") return [this.crop];
    if (this.tool === "brush") return [];
    return this.tool === "show" ? this.painting.shown : this.painting.covered.filter(({ isFace }) => !isFace);
  }

  /** @param {Box} box @param {number} at */
  #handle(box, at) {
    const label = t(`neighbours.picture.part.${this.tool}`, { number: at + 1 });
    return svg("rect", {
      ...box,
      class: `part ${this.tool}`,
      tabindex: 0,
      role: "button",
      "data-part": at,
      "aria-label": label,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, at),
    });
  }

  #drawList() {
    const faces = this.painting.covered.filter(({ isFace }) => isFace).length;
    const own = this.tool === "crop" ? [] : this.tool === "brush" ? this.#strokes : this.#boxes;
    fill(
      this.list,
      faces > 0 && h("li", { class: "row" }, h("div", {}, h("span", { class: "text" }, h("span", { class: "title" }, tn("neighbours.picture.faces", faces)), h("span", { class: "muted" }, t("neighbours.picture.faces_stay"))))),
      own.map((_, at) => {
        const name = t(`neighbours.picture.name.${this.tool}`, { number: at + 1 });
        const remove = h("button", { type: "button", "aria-label": t("neighbours.picture.remove_label", { what: name }), onclick: () => this.#remove(at) }, t("neighbours.picture.remove"));
        return h("li", { class: "row" }, h("div", {}, h("span", { class: "text" }, h("span", { class: "title" }, name))), remove);
      }),
    );
  }

  /** @param {KeyboardEvent} event @param {number} at */
  #key(event, at) {
    const { key, shiftKey, ctrlKey } = event;
    if ((key === "Delete" || key === "Backspace") && this.tool !== "crop") {
      event.preventDefault();
      return this.#remove(at);
    }
    const arrow = ARROWS[key];
    if (arrow === undefined) return;
    event.preventDefault();
    const px = ctrlKey ? 1 : Math.max(1, Math.round(this.size.width * STEP_SHARE));
    this.#change(at, stepped(this.#boxes[at], { dx: arrow[0] * px, dy: arrow[1] * px, isSize: shiftKey }, this.size));
  }

  /** Draws a box from where the pointer went down to where it leaves. @param {PointerEvent} event */
  #drag(event) {
    if (event.button !== 0 || this.node.dataset.faces === undefined) return;
    event.preventDefault();
    if (this.tool === "brush") return this.#paintStroke(event);
    const place = this.#placing();
    const from = place(event);
    const over = new AbortController();
    const { signal } = over;
    const move = (/** @type {PointerEvent} */ now) => {
      this.drawn = inside(between(from, place(now)), this.size);
      this.#draw();
    };
    const end = (/** @type {PointerEvent} */ now) => {
      over.abort();
      const box = inside(between(from, place(now)), this.size);
      this.drawn = null;
      if (now.type === "pointerup" && box.width >= MIN_BOX_PX && box.height >= MIN_BOX_PX) this.#put(box);
      else this.#draw();
    };
    addEventListener("pointermove", move, { signal });
    addEventListener("pointerup", end, { signal });
    addEventListener("pointercancel", end, { signal });
  }

  /** Where in the picture a pointer is. @returns {(event: PointerEvent) => {x: number, y: number}} */
  #placing() {
    const frame = this.overlay.getBoundingClientRect();
    return ({ clientX, clientY }) => ({
      x: ((clientX - frame.left) / frame.width) * this.size.width,
      y: ((clientY - frame.top) / frame.height) * this.size.height,
    });
  }

  /** Covers what the pointer passes over; a touch that becomes a scroll or a zoom covers nothing. @param {PointerEvent} event */
  #paintStroke(event) {
    const place = this.#placing();
    const { pointerId } = event;
    const width = Math.max(MIN_BOX_PX, BRUSH_SHARES[this.brush] * Math.max(this.size.width, this.size.height));
    const points = [place(event)];
    this.stroke = { points, width };
    this.#draw();
    const over = new AbortController();
    const { signal } = over;
    const move = (/** @type {PointerEvent} */ now) => {
      if (now.pointerId !== pointerId) return;
      points.push(place(now));
      this.#draw();
    };
    const end = (/** @type {PointerEvent} */ now) => {
      if (now.pointerId !== pointerId) return;
      over.abort();
      this.stroke = null;
      if (now.type === "pointerup") this.painting = { ...this.painting, strokes: [...this.#strokes, { points, width }] };
      this.#draw();
    };
    addEventListener("pointermove", move, { signal });
    addEventListener("pointerup", end, { signal });
    addEventListener("pointercancel", end, { signal });
  }

  /** A box by the keyboard, in the middle; arrows move it from there. */
  #add() {
    const { width, height } = this.size;
    const share = this.tool === "crop" ? 4 * NEW_SHARE : NEW_SHARE;
    const box = inside({ x: ((1 - share) * width) / 2, y: ((1 - share) * height) / 2, width: share * width, height: share * height }, this.size);
    this.#put(box);
    this.#focus(String(this.#boxes.length - 1));
  }

  /** @param {Box} box */
  #put(box) {
    if (this.tool === "crop") return this.#cropTo(box);
    const { covered, shown } = this.painting;
    this.painting = this.tool === "show" ? { ...this.painting, shown: [...shown, box] } : { ...this.painting, covered: [...covered, { ...box, isFace: false }] };
    this.#draw();
  }

  /** @param {Box} box */
  #cropTo(box) {
    this.crop = box;
    this.#drawTools();
    this.#draw();
  }

  /** @param {number} at @param {Box} box */
  #change(at, box) {
    if (this.tool === "crop") this.crop = box;
    else this.#replace(at, [box]);
    this.#draw();
  }

  /** @param {number} at */
  #remove(at) {
    if (this.tool === "brush") this.painting = { ...this.painting, strokes: this.#strokes.toSpliced(at, 1) };
    else this.#replace(at, []);
    this.#draw();
    (document.getElementById("add-part") ?? this.tools.querySelector("input:checked"))?.focus();
  }

  /** Puts others in the place of an author's own box; a face's box isn't among them. @param {number} at @param {Box[]} by */
  #replace(at, by) {
    if (this.tool === "show") {
      this.painting = { ...this.painting, shown: this.painting.shown.toSpliced(at, 1, ...by) };
      return;
    }
    const faces = this.painting.covered.filter(({ isFace }) => isFace);
    const own = this.painting.covered.filter(({ isFace }) => !isFace);
    this.painting = { ...this.painting, covered: [...faces, ...own.toSpliced(at, 1, ...by.map((box) => ({ ...box, isFace: false })))] };
  }

  /** @param {string} part */
  #focus(part) {
    const found = this.overlay.querySelector(`[data-part="${part}"]`);
    if (found instanceof SVGElement) found.focus({ preventScroll: true });
  }

  #export() {
    return exported(this.source, this.size, this.painting, this.crop);
  }
}
