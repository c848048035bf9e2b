/**
 * The trim of one checked recording: a filmstrip of its own pictures with two handles, and the
 * first and the last picture as they would leave. Each handle stands on borders of groups of
 * pictures only, and moves by pointer, touch or keyboard.
 * @module
 */
import { fill, h } from "../dom.js";
import { paintFirst, paintLast } from "../gop_pictures.js";
import { snapped } from "../grant_terms.js";
import { durationText, t, timeText } from "../i18n.js";

/** @typedef {import("../clips.js").CheckedClip} CheckedClip */
/** @typedef {import("../grant_terms.js").Part} Part */
/** @typedef {import("../grant_terms.js").Span} Span */
/** @typedef {"from" | "to"} End */

const MOST_PICTURES = 8;
const STRIP_PICTURE_PX = 160;
const END_PICTURE_PX = 480;
const PAGE_STEP = 5;

export class FilmStrip {
  /**
   * @param {CheckedClip} clip @param {Part[]} parts that can be given, at least one @param {Span} whole the recording's
   * @param {(strip: FilmStrip, moved: End | null) => void} onChange also once at the beginning, then with null
   */
  constructor(clip, parts, whole, onChange) {
    this.clip = clip;
    this.parts = parts;
    this.whole = whole;
    this.onChange = onChange;
    this.range = { first: 0, last: parts.length - 1 };
    this.isPainting = false;
    /** The last part whose last picture is painted, and the first's. */
    this.painted = { first: -1, last: -1 };
    this.film = h("div", { class: "film", "aria-hidden": "true" });
    this.kept = h("div", { class: "kept" });
    this.handles = { from: this.#handle("from"), to: this.#handle("to") };
    this.track = h("div", { class: "track" }, this.film, this.kept, this.handles.from, this.handles.to);
    this.firsts = this.#endPicture("first");
    this.lasts = this.#endPicture("last");
    this.words = h("p", { class: "longer", role: "status", "data-testid": "longer" });
    this.length = h("p", { class: "muted", "data-testid": "cut-length" });
    this.unseen = h("p", { class: "muted", role: "status" });
    this.node = h(
      "div",
      { class: "trim", "data-testid": "trim" },
      this.track,
      h("div", { class: "ends" }, this.firsts.node, this.lasts.node),
      this.unseen,
      this.length,
      this.words,
    );
    this.#show(null);
    void this.#paintStrip();
  }

  /** What would be signed. @returns {Span} */
  get span() {
    const { first, last } = this.range;
    return { from_ms: this.parts[first].from_ms, to_ms: this.parts[last].to_ms };
  }

  /** The numbers of the parts that leave, from 1. */
  get numbers() {
    const { first, last } = this.range;
    return { first: this.parts[first].number + 1, last: this.parts[last].number + 1, all: this.clip.manifest.gops.length };
  }

  /** @param {End} end */
  #handle(end) {
    const handle = h("div", { role: "slider", tabindex: 0, class: `handle ${end}`, "data-testid": `cut-${end}`, "aria-label": t(`release.${end}`) });
    handle.addEventListener("keydown", (event) => this.#keyed(end, event));
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) this.#move(end, snapped(this.parts, this.range, end, this.#msAt(event.clientX)));
    });
    return handle;
  }

  /** @param {End} end @param {KeyboardEvent} event */
  #keyed(end, event) {
    const { first, last } = this.range;
    const now = end === "from" ? first : last;
    const [least, most] = end === "from" ? [0, last] : [first, this.parts.length - 1];
    /** @type {Record<string, number>} */
    const to = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - PAGE_STEP,
      PageUp: now + PAGE_STEP,
      Home: least,
      End: most,
    };
    if (!Object.hasOwn(to, event.key)) return;
    event.preventDefault();
    const place = Math.min(most, Math.max(least, to[event.key]));
    this.#move(end, end === "from" ? { first: place, last } : { first, last: place });
  }

  /** @param {End} end @param {{first: number, last: number}} range */
  #move(end, range) {
    const isSame = range.first === this.range.first && range.last === this.range.last;
    this.range = range;
    if (!isSame) this.#show(end);
  }

  /** @param {number} x @returns {number} */
  #msAt(x) {
    const { left, width } = this.film.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (x - left) / width));
    return this.whole.from_ms + share * (this.whole.to_ms - this.whole.from_ms);
  }

  /** @param {End | null} moved */
  #show(moved) {
    const { from_ms, to_ms } = this.span;
    const { first, last, all } = this.numbers;
    const share = (/** @type {number} */ ms) => `${((ms - this.whole.from_ms) / (this.whole.to_ms - this.whole.from_ms)) * 100}%`;
    this.track.style.setProperty("--from", share(from_ms));
    this.track.style.setProperty("--to", share(to_ms));
    for (const [end, ms, number] of /** @type {[End, number, number][]} */ ([["from", from_ms, first], ["to", to_ms, last]])) {
      const slider = { valuemin: 1, valuemax: all, valuenow: number, valuetext: t("release.at_part", { time: timeText(ms, "second"), number, all }) };
      for (const [name, value] of Object.entries(slider)) this.handles[end].setAttribute(`aria-${name}`, String(value));
    }
    fill(this.firsts.words, t("release.first_picture", { time: timeText(from_ms, "second") }));
    fill(this.lasts.words, t("release.last_picture", { time: timeText(to_ms, "second") }));
    const whole_ms = this.whole.to_ms - this.whole.from_ms;
    fill(this.length, t("release.given_of", { duration: durationText(to_ms - from_ms), whole: durationText(whole_ms) }));
    fill(this.words, longer(this.numbers));
    this.onChange(this, moved);
    void this.#paintEnds();
  }

  /** @param {"first" | "last"} which */
  #endPicture(which) {
    const canvas = h("canvas", { "data-testid": `${which}-picture`, "data-most": END_PICTURE_PX, role: "img", "aria-label": t(`release.${which}_alt`) });
    const words = h("figcaption");
    return { node: h("figure", {}, canvas, words), canvas, words };
  }

  async #paintStrip() {
    const { gops, duration_90k } = this.clip.manifest;
    const count = Math.min(MOST_PICTURES, gops.length);
    const wanted = new Map();
    for (let place = 0; place < count; place += 1) {
      const middle = ((place + 0.5) / count) * duration_90k;
      const number = gops.findLastIndex(({ first_pts_90k }) => first_pts_90k <= middle);
      if (!wanted.has(number)) wanted.set(number, h("canvas", { "data-most": STRIP_PICTURE_PX, "data-testid": "strip-picture" }));
    }
    fill(this.film, [...wanted.values()]);
    try {
      await paintFirst(this.clip, wanted);
    } catch (error) {
      console.warn("no single pictures", error);
      this.node.classList.add("blank");
      fill(this.unseen, t("release.no_pictures"));
    }
  }

  /** Paints the two ends; while that takes its time, only the newest place counts. */
  async #paintEnds() {
    if (this.isPainting) return;
    this.isPainting = true;
    delete this.node.dataset.painted;
    try {
      for (;;) {
        const { first, last } = this.range;
        const { painted } = this;
        if (painted.first === first && painted.last === last) {
          this.node.dataset.painted = "";
          break;
        }
        if (painted.first !== first) await paintFirst(this.clip, new Map([[this.parts[first].number, this.firsts.canvas]]));
        painted.first = first;
        if (painted.last !== last) await paintLast(this.clip, this.parts[last].number, this.lasts.canvas);
        painted.last = last;
      }
    } catch (error) {
      console.warn("no single pictures", error);
    }
    this.isPainting = false;
  }
}

/** What the agency learns of how much there was (the parts of the manifest that comes with it). @param {{first: number, last: number, all: number}} numbers */
export function longer({ first, last, all }) {
  if (first === 1 && last === all) return t("release.whole_parts", { all });
  if (first === last) return t("release.longer_one", { first, all });
  return t("release.longer", { first, last, all });
}
