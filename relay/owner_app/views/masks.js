/**
 * The editor of privacy masks, drawn upon the door's newest picture. With a finger or a mouse, or
 * by the keyboard: each corner is a button that the arrow keys move.
 * @module
 */
import { fill, h, svg } from "../dom.js";
import { dateText, t } from "../i18n.js";
import { FULL, MAX_CORNERS, MAX_MASKS, MIN_CORNERS } from "../vendor/protocol/decisions.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").MaskPolygon} MaskPolygon */

/** The drawing's units: thousandths of the width, and as high as pictures usually are. */
const HEIGHT = 562;
const STEP = 10;
const BIG_STEP = 50;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {MaskPolygon} a new one, in the middle */
const NEW_MASK = [[350, 350], [650, 350], [650, 650], [350, 650]];

export class MaskEditor {
  /** @param {Context} context @param {string} device @param {MaskPolygon[]} masks */
  constructor(context, device, masks) {
    this.masks = structuredClone(masks);
    this.onChange = () => {};
    this.height = HEIGHT;
    this.stage = h("div", { class: "mask-stage" });
    this.list = h("ul", { class: "rows", id: "masks" });
    this.add = h("button", { type: "button", id: "add-mask", onclick: () => this.#add() }, t("masks.add"));
    this.node = h("div", { id: "mask-editor" }, this.stage, h("p", { class: "hint" }, t("masks.how")), this.list, this.add);
    this.drawing = svg("svg", { viewBox: `0 0 ${FULL} ${HEIGHT}`, preserveAspectRatio: "none", role: "group", "aria-label": t("masks.drawing") });
    fill(this.stage, this.drawing);
    this.#draw();
    void this.#showPicture(context, device);
  }

  /** @param {Context} context @param {string} device */
  async #showPicture(context, device) {
    const picture = await newestPicture(context, device);
    if (context.left.aborted) return;
    if (picture !== null) {
      const taken = t("masks.taken", { time: dateText(picture.takenMs) });
      const shown = /** @type {HTMLImageElement} */ (h("img", { src: picture.url, alt: t("masks.picture") }));
      shown.addEventListener("load", () => this.#fit(shown), { once: true });
      this.stage.prepend(shown);
      this.stage.after(h("p", { class: "hint", id: "mask-picture-taken" }, taken));
    } else this.stage.after(h("p", { class: "hint" }, t("masks.no_picture")));
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
    fill(
      this.drawing,
      this.masks.map((mask) => svg("polygon", { class: "mask", points: pointsOf(mask, this.height) })),
      this.masks.map((mask, number) => mask.map((_, corner) => this.#handle(number, corner))),
    );
    if (focused) this.#focus(focused);
    fill(this.list, this.masks.map((_, number) => this.#row(number)));
    this.add.disabled = this.masks.length >= MAX_MASKS;
  }

  /** @param {string} id such as 0-2 */
  #focus(id) {
    const handle = this.drawing.querySelector(`[data-corner="${id}"]`);
    if (handle instanceof SVGElement) handle.focus({ preventScroll: true });
  }

  /** @param {number} number @param {number} corner */
  #handle(number, corner) {
    const [x, y] = this.masks[number][corner];
    const handle = svg("circle", {
      cx: x,
      cy: (y * this.height) / FULL,
      r: 22,
      tabindex: 0,
      role: "button",
      "data-corner": `${number}-${corner}`,
      "aria-label": t("masks.corner", { mask: number + 1, corner: corner + 1, x: Math.round(x / 10), y: Math.round(y / 10) }),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, number, corner),
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#drag(event, number, corner),
    });
    return handle;
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
    const [x, y] = this.masks[number][corner];
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
    this.masks[number][corner] = [inside(x), inside(y)];
    this.#changed();
  }

  #add() {
    if (this.masks.length >= MAX_MASKS) return;
    const shift = this.masks.length * 40;
    this.masks.push(NEW_MASK.map(([x, y]) => [x + shift, y + shift]));
    this.#changed();
    this.#focus(`${this.masks.length - 1}-0`);
  }

  /** A new corner halfway between the last and the first. @param {number} number */
  #addCorner(number) {
    const mask = this.masks[number];
    const [[x, y], [lastX, lastY]] = [mask[0], mask[mask.length - 1]];
    mask.push([inside((x + lastX) / 2), inside((y + lastY) / 2)]);
    this.#changed();
    this.#focus(`${number}-${mask.length - 1}`);
  }

  /** @param {number} number @param {number} corner */
  #dropCorner(number, corner) {
    if (this.masks[number].length <= MIN_CORNERS) return;
    this.masks[number].splice(corner, 1);
    this.#changed();
    this.#focus(`${number}-${Math.max(0, corner - 1)}`);
  }

  /** @param {number} number */
  #remove(number) {
    this.masks.splice(number, 1);
    this.#changed();
    this.add.focus();
  }

  #changed() {
    this.#draw();
    this.onChange();
  }

  /** @param {number} number */
  #row(number) {
    const count = this.masks[number].length;
    const corner = { type: "button", disabled: count >= MAX_CORNERS, onclick: () => this.#addCorner(number) };
    return h(
      "li",
      { "data-testid": "mask" },
      h("span", { class: "grow" }, t("masks.one", { number: number + 1, corners: count })),
      h("button", corner, t("masks.add_corner")),
      h("button", { type: "button", "aria-label": t("masks.remove_label", { number: number + 1 }), onclick: () => this.#remove(number) }, t("masks.remove")),
    );
  }
}

/** A drawing of masks without the picture, in its shape. @param {Context} context @param {string} device @param {MaskPolygon[]} masks */
export function drawnMasks(context, device, masks) {
  const words = t("masks.count", { count: masks.length });
  const drawing = svg("svg", { class: "drawn-masks", role: "img", "aria-label": words });
  const draw = (/** @type {number} */ height) => {
    drawing.setAttribute("viewBox", `0 0 ${FULL} ${height}`);
    drawing.classList.toggle("upright", height > FULL);
    fill(drawing, masks.map((mask) => svg("polygon", { class: "mask", points: pointsOf(mask, height) })));
  };
  draw(HEIGHT);
  void newestPicture(context, device).then((picture) => {
    if (picture === null || context.left.aborted) return;
    const shown = new Image();
    shown.addEventListener("load", () => draw(heightOf(shown)), { once: true });
    shown.src = picture.url;
  });
  return drawing;
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

/** @param {MaskPolygon} mask @param {number} height of the drawing */
function pointsOf(mask, height) {
  return mask.map(([x, y]) => `${x},${(y * height) / FULL}`).join(" ");
}

/** @param {number} at */
function inside(at) {
  return Math.round(Math.min(FULL, Math.max(0, at)));
}
