/**
 * A day as a line of its hours: rings stand high, movements low, and a thumb is drawn along it to
 * go to what happened then.
 * @module
 */
import { fill, h, svg } from "../dom.js";
import { closestTo, hoursOf, marksOf, shareOf } from "../history_days.js";
import { t, timeText, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";

/** @typedef {import("../history_days.js").Day} Day */
/** @typedef {import("../history_days.js").Entry} Entry */
/** @typedef {import("../history_days.js").Mark} Mark */

const WIDTH = 1440;
const HEIGHT = 36;
const MINUTE_MS = 60_000;
/** Every so many hours one is written. */
const WRITTEN_EVERY = 6;

export class DayLine {
  /**
   * @param {Day} day @param {string} name the day's @param {(entry: Entry) => string} wordsOf what stands closest
   * @param {(entry: Entry) => void} onGo
   */
  constructor(day, name, wordsOf, onGo) {
    this.day = day;
    this.wordsOf = wordsOf;
    this.isTouched = false;
    this.picture = h("div", { class: "day-picture" });
    this.scale = h("div", { class: "hours-written", "aria-hidden": "true" });
    this.said = h("output", { class: "scrubbed", hidden: true });
    this.range = h("input", { type: "range", min: 0, step: 1, "aria-label": `${t("history.line")}: ${name}` });
    this.range.addEventListener("input", () => {
      this.isTouched = true;
      onGo(this.#say());
    });
    for (const type of ["change", "blur", "pointerup"]) this.range.addEventListener(type, () => (this.said.hidden = true));
    this.node = h("div", { class: "day-line" }, this.picture, this.range, this.said, this.scale);
    this.show(day);
  }

  /** Draws the day as it is now; a thumb that was moved stays where it is, under a finger too. @param {Day} day */
  show(day) {
    this.day = day;
    const { rings, motions } = marksOf(day);
    const hours = hoursOf(day);
    const now = shareOf(day, nowMs()) * WIDTH;
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      now < WIDTH && svg("rect", { class: "to-come", x: now, y: 0, width: WIDTH - now, height: HEIGHT }),
      svg("path", { class: "hours", d: hours.map(({ share }) => `M${Math.round(share * WIDTH)} 28V36`).join("") }),
      svg("path", { class: "motions", d: strokes(motions, 16) }),
      svg("path", { class: "rings", d: strokes(rings, 2) }),
    );
    fill(this.picture, picture);
    const written = hours.filter(({ hour, share }) => hour % WRITTEN_EVERY === 0 && share < 0.97);
    fill(this.scale, written.map(hourOn), hourOn({ hour: 24, share: 1 }));
    const last = Math.round((day.end - day.start) / MINUTE_MS) - 1;
    this.range.max = String(last);
    if (this.isTouched) return;
    const newest = Math.floor((day.entries[0].ms - day.start) / MINUTE_MS);
    this.range.value = String(Math.min(last, newest));
    this.range.setAttribute("aria-valuetext", timeText(day.entries[0].ms, "clock"));
  }

  /** Says where the thumb is and what stands closest, and returns that. */
  #say() {
    const { day, range, said } = this;
    const ms = day.start + Number(range.value) * MINUTE_MS;
    const entry = closestTo(day, ms);
    const words = `${timeText(entry.ms, "second")} · ${this.wordsOf(entry)}`;
    said.textContent = words;
    said.style.left = `${shareOf(day, ms) * 100}%`;
    said.hidden = false;
    range.setAttribute("aria-valuetext", `${timeText(ms, "clock")}. ${words}`);
    return entry;
  }
}

/** What a day held, in words. @param {Day} day */
export function dayCounts(day) {
  const { rings, motions } = marksOf(day);
  const counts = [rings.length > 0 && tn("history.rings", rings.length), motions.length > 0 && tn("history.motions", motions.length)];
  return counts.filter(Boolean).join(" · ");
}

/** @param {Mark[]} marks @param {number} top */
function strokes(marks, top) {
  return marks.map(({ share }) => `M${Math.round(share * WIDTH)} ${top}V27`).join("");
}

/** @param {{hour: number, share: number}} at */
function hourOn({ hour, share }) {
  const node = h("span", {}, String(hour).padStart(2, "0"));
  node.style.left = `${share * 100}%`;
  return node;
}
