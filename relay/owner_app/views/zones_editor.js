/**
 * The editor of what is never filmed and of where motion counts, drawn upon the door's newest
 * picture, with the places of the last day's motion. With a finger or a mouse, or by the keyboard:
 * each corner is a button that the arrow keys move.
 * @module
 */
import { segmented, switchBox } from "../components/controls.js";
import { fill, h, svg } from "../dom.js";
import { dateText, t } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { FULL, MAX_CORNERS, MAX_MASKS, MAX_ZONES, MAX_ZONE_NAME_CHARS, MIN_CORNERS } from "../vendor/protocol/decisions.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { isSimple } from "../vendor/protocol/polygons.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").MaskPolygon} MaskPolygon */
/** @typedef {import("../vendor/protocol/documents.js").Zone} Zone */
/** @typedef {"masks" | "zones"} Layer */

/** The drawing's units: thousandths of the width, and as high as pictures usually are. */
const HEIGHT = 562;
const STEP = 10;
const BIG_STEP = 50;
const DAY_MS = 24 * 3600 * 1000;
const MAX_BOXES = 100;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {MaskPolygon} a new one, in the middle */
const NEW_SHAPE = [[350, 350], [650, 350], [650, 650], [350, 650]];

export class ZonesEditor {
  /**
   * @param {Context} context @param {string} device
   * @param {{masks: MaskPolygon[], zones: Zone[], hasFileZones: boolean, onChange: (layer: Layer, value: unknown, problem: string) => void}} how
   */
  constructor(context, device, { masks, zones, hasFileZones, onChange }) {
    this.context = context;
    this.device = device;
    this.masks = structuredClone(masks);
    this.zones = structuredClone(zones);
    this.hasFileZones = hasFileZones;
    this.onChange = onChange;
    /** @type {Layer} */
    this.layer = "masks";
    this.hasBoxes = true;
    this.height = HEIGHT;
    this.stage = h("div", { class: "mask-stage" });
    this.drawing = svg("svg", { viewBox: `0 0 ${FULL} ${HEIGHT}`, preserveAspectRatio: "none", role: "group" });
    fill(this.stage, this.drawing);
    this.taken = h("p", { class: "hint", id: "mask-picture-taken" });
    this.wrong = h("p", { class: "warn-text", role: "alert", id: "shape-wrong" });
    this.list = h("ul", { class: "rows", id: "shapes" });
    this.add = h("button", { type: "button", id: "add-shape", onclick: () => this.#add() });
    this.help = h("p", { class: "hint" });
    const layers = segmented({
      name: "layer",
      legend: t("zones.layer"),
      options: [
        { value: "masks", text: t("setting.masks") },
        { value: "zones", text: t("setting.zones") },
      ],
      value: this.layer,
      onchange: (value) => {
        this.layer = value === "zones" ? "zones" : "masks";
        this.#draw();
      },
    });
    const boxes = switchBox({
      id: "show-motion",
      isOn: true,
      onchange: (isOn) => {
        this.hasBoxes = isOn;
        this.#draw();
      },
    });
    this.counted = h("span");
    const motion = h("div", { class: "setting-line" }, h("label", { for: "show-motion" }, t("zones.boxes"), " ", this.counted), boxes);
    this.node = h("div", { id: "zones-editor" }, layers, this.help, this.stage, this.taken, motion, this.wrong, h("p", { class: "hint" }, t("masks.how")), this.list, this.add);
    this.#draw();
    context.household.addEventListener("change", () => this.#drawBoxes(), { signal: context.left });
    void this.#showPicture();
  }

  get #shapes() {
    return this.layer === "masks" ? this.masks : this.zones.map(({ corners }) => corners);
  }

  async #showPicture() {
    const { left } = this.context;
    const picture = await newestPicture(this.context, this.device);
    if (left.aborted) return;
    if (picture === null) return fill(this.taken, t("masks.no_picture"));
    const shown = h("img", { src: picture.url, alt: t("masks.picture") });
    shown.addEventListener("load", () => this.#fit(shown), { once: true });
    this.stage.prepend(shown);
    fill(this.taken, t("masks.taken", { time: dateText(picture.takenMs) }));
  }

  /** @param {HTMLImageElement} picture */
  #fit(picture) {
    this.height = heightOf(picture);
    this.stage.style.aspectRatio = `${FULL} / ${this.height}`;
    this.stage.classList.toggle("upright", this.height > FULL);
    this.drawing.setAttribute("viewBox", `0 0 ${FULL} ${this.height}`);
    this.#draw();
  }

  #draw() {
    const focused = document.activeElement?.getAttribute("data-corner");
    const isMasks = this.layer === "masks";
    this.drawing.setAttribute("aria-label", t(isMasks ? "masks.drawing" : "zones.drawing"));
    this.boxes = svg("g", { class: "motion-boxes", "aria-hidden": "true" });
    const shape = (/** @type {MaskPolygon} */ corners, /** @type {string} */ kind, /** @type {boolean} */ isOn) =>
      svg("polygon", { class: `${kind}${isOn ? "" : " faint"}${isSimple(corners) ? "" : " crossed"}`, points: pointsOf(corners, this.height) });
    fill(
      this.drawing,
      this.masks.map((mask) => shape(mask, "mask", isMasks)),
      this.zones.map(({ corners }) => shape(corners, "zone", !isMasks)),
      this.boxes,
      this.#shapes.map((corners, number) => corners.map((_, corner) => this.#handle(number, corner))),
    );
    this.#drawBoxes();
    if (focused) this.#focus(focused);
    fill(this.help, t(isMasks ? "settings.masks_help" : "zones.help"), " ", !isMasks && this.zones.length === 0 && t(this.hasFileZones ? "zones.of_file" : "zones.everywhere"));
    this.#drawList();
    fill(this.add, t(isMasks ? "masks.add" : "zones.add"));
    this.add.disabled = this.#shapes.length >= (isMasks ? MAX_MASKS : MAX_ZONES);
    fill(this.wrong, this.#wrongText());
  }

  #drawList() {
    const before = document.activeElement;
    if (before instanceof HTMLInputElement && this.list.contains(before)) return; // a name is being written
    fill(this.list, this.#shapes.map((_, number) => this.#row(number)));
  }

  /** The last day's motion, where it was. */
  #drawBoxes() {
    const { household } = this.context;
    const found = household.history
      .filter(({ event }) => event.device === this.device && event.body.type === "motion" && nowMs() - event.time_ms < DAY_MS)
      .flatMap(({ event }) => (event.body.type === "motion" && event.body.box ? [event.body.box] : []))
      .slice(0, MAX_BOXES);
    fill(this.counted, t("zones.boxes_count", { count: found.length }));
    const place = (/** @type {number} */ y) => (y * this.height) / FULL;
    const drawn = this.hasBoxes ? found : [];
    if (this.boxes) fill(this.boxes, drawn.map(([left, top, right, bottom]) => svg("rect", { x: left, y: place(top), width: right - left, height: place(bottom - top) })));
  }

  /** Says which outline crosses itself, or which zone has no name; "" if all is well. */
  #wrongText() {
    const mask = this.masks.findIndex((corners) => !isSimple(corners));
    if (mask >= 0) return t("zones.crossed", { what: t("masks.called", { number: mask + 1 }) });
    const zone = this.zones.find(({ corners }) => !isSimple(corners));
    if (zone !== undefined) return t("zones.crossed", { what: zone.name || t("zones.unnamed") });
    if (this.zones.some(({ name }) => name === "")) return t("zones.needs_name");
    const long = this.zones.find(({ name }) => [...name].length > MAX_ZONE_NAME_CHARS);
    return long === undefined ? "" : t("setting.too_long", { count: [...long.name].length, most: MAX_ZONE_NAME_CHARS });
  }

  /** @param {string} id such as 0-2 */
  #focus(id) {
    const handle = this.drawing.querySelector(`[data-corner="${id}"]`);
    if (handle instanceof SVGElement) handle.focus({ preventScroll: true });
  }

  /** @param {number} number @param {number} corner */
  #handle(number, corner) {
    const [x, y] = this.#shapes[number][corner];
    const place = { corner: corner + 1, x: Math.round(x / 10), y: Math.round(y / 10) };
    const what = this.layer === "masks" ? t("masks.called", { number: number + 1 }) : this.zones[number].name || t("zones.unnamed");
    return svg("circle", {
      cx: x,
      cy: (y * this.height) / FULL,
      r: 22,
      tabindex: 0,
      role: "button",
      "data-corner": `${number}-${corner}`,
      "aria-label": t("zones.corner", { what, ...place }),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, number, corner),
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#drag(event, number, corner),
    });
  }

  /** @param {KeyboardEvent} event @param {number} number @param {number} corner */
  #key(event, number, corner) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return this.#dropCorner(number, corner);
    }
    const arrow = ARROWS[event.key];
    if (arrow === undefined) return;
    event.preventDefault();
    const step = event.shiftKey ? BIG_STEP : STEP;
    const [x, y] = this.#shapes[number][corner];
    this.#move(number, corner, x + arrow[0] * step, y + arrow[1] * step);
  }

  /** @param {PointerEvent} event @param {number} number @param {number} corner */
  #drag(event, number, corner) {
    event.preventDefault();
    const box = this.drawing.getBoundingClientRect();
    const moved = new AbortController();
    const { signal } = moved;
    const move = (/** @type {PointerEvent} */ { clientX, clientY }) =>
      this.#move(number, corner, ((clientX - box.left) / box.width) * FULL, ((clientY - box.top) / box.height) * FULL);
    addEventListener("pointermove", move, { signal });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => moved.abort(), { signal });
    this.#focus(`${number}-${corner}`);
  }

  /** @param {number} number @param {number} corner @param {number} x @param {number} y */
  #move(number, corner, x, y) {
    this.#shapes[number][corner] = [inside(x), inside(y)];
    this.#changed();
  }

  #add() {
    const count = this.#shapes.length;
    const corners = /** @type {MaskPolygon} */ (NEW_SHAPE.map(([x, y]) => [x + count * 40, y + count * 40]));
    if (this.layer === "masks") this.masks.push(corners);
    else this.zones.push({ name: t("zones.new_name", { number: count + 1 }), corners });
    this.#changed();
    this.#focus(`${count}-0`);
  }

  /** A new corner halfway between the last and the first. @param {number} number */
  #addCorner(number) {
    const shape = this.#shapes[number];
    const [[x, y], [lastX, lastY]] = [shape[0], shape[shape.length - 1]];
    shape.push([inside((x + lastX) / 2), inside((y + lastY) / 2)]);
    this.#changed();
    this.#focus(`${number}-${shape.length - 1}`);
  }

  /** @param {number} number @param {number} corner */
  #dropCorner(number, corner) {
    const shape = this.#shapes[number];
    if (shape.length <= MIN_CORNERS) return;
    shape.splice(corner, 1);
    this.#changed();
    this.#focus(`${number}-${Math.max(0, corner - 1)}`);
  }

  /** @param {number} number */
  #remove(number) {
    this[this.layer].splice(number, 1);
    this.#changed();
    this.add.focus();
  }

  #changed() {
    this.#draw();
    this.onChange(this.layer, structuredClone(this[this.layer]), this.#wrongText());
  }

  /** @param {number} number */
  #row(number) {
    const count = this.#shapes[number].length;
    const corner = { type: "button", disabled: count >= MAX_CORNERS, onclick: () => this.#addCorner(number) };
    const label = { type: "button", "aria-label": t("zones.remove_label", { what: this.#called(number) }), onclick: () => this.#remove(number) };
    const name = this.layer === "masks" ? h("span", { class: "grow" }, t("masks.one", { number: number + 1, corners: count })) : this.#nameField(number);
    return h("li", { "data-testid": "shape" }, name, h("button", corner, t("masks.add_corner")), h("button", label, t("masks.remove")));
  }

  /** @param {number} number */
  #called(number) {
    return this.layer === "masks" ? t("masks.called", { number: number + 1 }) : this.zones[number].name || t("zones.unnamed");
  }

  /** @param {number} number */
  #nameField(number) {
    const input = h("input", { type: "text", class: "grow", autocomplete: "off", value: this.zones[number].name, "aria-label": t("zones.name_label", { number: number + 1 }) });
    input.addEventListener("input", () => {
      this.zones[number].name = withoutMisleading(input.value).trim();
      this.#changed();
    });
    return input;
  }
}

/** The newest picture of a doorbell that may be shown. @param {Context} context @param {string} device */
async function newestPicture({ household, pictures }, device) {
  const told = household.history.find((one) => one.event.device === device && one.has_thumbnail);
  const picture = told && (await pictures.get(told));
  return picture?.state === "shown" ? picture : null;
}

/** The height of a drawing as of a picture: a doorbell on its side has an upright one. @param {HTMLImageElement} picture */
function heightOf({ naturalWidth, naturalHeight }) {
  return Math.round((FULL * naturalHeight) / naturalWidth);
}

/** @param {MaskPolygon} corners @param {number} height of the drawing */
function pointsOf(corners, height) {
  return corners.map(([x, y]) => `${x},${(y * height) / FULL}`).join(" ");
}

/** @param {number} at */
function inside(at) {
  return Math.round(Math.min(FULL, Math.max(0, at)));
}
