/**
 * The strip of the newest pictures: rings large, movements small and folded, each with its words.
 * @module
 */
import { h } from "../dom.js";
import { foldMotion, newestRows, whenOf } from "../event_groups.js";
import { clockSpanText, durationText, t, time, timeText, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { doubt, eventText } from "./events.js";
import { noPicture } from "./parts.js";

/** @typedef {import("../event_groups.js").EventGroup} EventGroup */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../vendor/protocol/documents.js").ClipReady} ClipReady */

const SHOWN = 12;
const PICTURED = ["pressed", "motion", "clip_ready"];
/** The longest recording, and a while to finish it. */
const RECORDING_MS = 150_000;

/** Tells whether something that happened has its place in the strip. @param {EventGroup} happening */
export function isPictured({ kind }) {
  return PICTURED.includes(kind);
}

export class Today {
  /** @param {import("./thumbs.js").Thumbs} thumbs */
  constructor(thumbs) {
    this.thumbs = thumbs;
    /** @type {Set<string>} runs of movements that are open, by their oldest */
    this.open = new Set();
  }

  /**
   * Returns the strip, or what stands where nothing happened yet.
   * @param {EventGroup[]} found newest first @param {() => void} redraw
   */
  section(found, redraw) {
    const shown = newestRows(foldMotion(found), SHOWN);
    const isAllOfToday = found.length > 0 && timeText(whenOf(found[0].told).ms, "day") === t("time.today");
    const title = h("h2", {}, t(isAllOfToday ? "time.today" : "door.latest"));
    const all = h("a", { href: "#/history" }, t("door.all_clips"));
    if (shown.length === 0) return h("section", { class: "today" }, title, h("p", { class: "empty" }, t("door.quiet")));
    const crowded = sharedMinutes(found);
    /** @type {Node[]} */
    const tiles = [];
    for (const [at, one] of shown.entries()) {
      const next = shown[at + 1];
      if (one.kind === "more_motion") continue;
      if (next?.kind !== "more_motion") tiles.push(this.#tile(one, crowded));
      else tiles.push(...this.#run([one, ...next.motions], crowded, redraw));
    }
    return h("section", { class: "today" }, h("div", { class: "heading" }, title, all), h("ul", { class: "strip", id: "events" }, tiles));
  }

  /** Movements one upon the other: one tile, and all of them once it is pressed. @param {EventGroup[]} motions newest first @param {Set<number>} crowded @param {() => void} redraw */
  #run(motions, crowded, redraw) {
    const oldest = motions[motions.length - 1].told;
    const id = `run-${oldest.event.id}`;
    const isOpen = this.open.has(id);
    const toggle = () => {
      if (!this.open.delete(id)) this.open.add(id);
      redraw();
    };
    const words = tn("event.movements", motions.length);
    const span = clockSpanText(whenOf(oldest).ms, whenOf(motions[0].told).ms);
    const pictured = motions.find(({ told, others }) => [told, ...others].some(({ has_thumbnail }) => has_thumbnail)) ?? motions[0];
    const button = h(
      "button",
      { type: "button", id, class: "tile", "aria-expanded": String(isOpen), onclick: toggle },
      this.thumbs.of(pictured, `${words}, ${span}`),
      h("strong", {}, words),
      h("span", { class: "muted" }, dayOf(oldest), span),
    );
    const tile = h("li", { class: "motion", "data-testid": "more-motion" }, button);
    return isOpen ? [tile, ...motions.map((one) => this.#tile(one, crowded))] : [tile];
  }

  /** @param {EventGroup} happening @param {Set<number>} crowded minutes in which more than one thing happened */
  #tile(happening, crowded) {
    const { kind, told, others, clip } = happening;
    const { event } = told;
    const { ms } = whenOf(told);
    const words = kind === "clip_ready" && others.length > 0 ? t("event.goes_on") : eventText(event);
    const isBlind = event.body.type === "pressed" && event.body.camera !== "working" && !clip;
    const style = crowded.has(minuteOf(ms)) ? "second" : "clock";
    const also = [...new Set(others.map(({ event: other }) => (other.body.type === "pressed" ? t("event.rang_again") : eventText(other))))];
    const said = [
      this.thumbs.of(happening, `${words}, ${timeText(ms)}`),
      h("strong", {}, words),
      h("span", { class: "muted" }, dayOf(told), time(ms, style), doubt(told)),
      isBlind && event.body.type === "pressed" && h("p", { class: "warn-text" }, noPicture(event.body.camera)),
      also.length > 0 && h("span", { class: "muted" }, also.join(" · ")),
      clip === undefined && !isBlind && isFresh(told) && h("span", { class: "muted" }, t("event.recording")),
    ];
    return h(
      "li",
      { class: kind === "pressed" ? "ring" : "motion", "data-testid": `event-${kind.replace("_", "-")}`, "data-event": event.id },
      h("div", { class: "tile" }, said, clip && watch(clip, `${words}, ${timeText(ms)}`)),
    );
  }
}

/** The link of the whole tile. @param {ReportedEvent} clip @param {string} what it shows, for those who hear the link alone */
function watch(clip, what) {
  const { clip_id, duration_ms } = /** @type {ClipReady} */ (clip.event.body);
  const label = t("clip.watch", { duration: durationText(duration_ms) });
  const link = {
    class: "watch",
    id: `watch-${clip_id}`, // the page is redrawn at every change: the focus stays
    href: `#/history/${clip.event.device}/${clip_id}`,
    "aria-label": `${label}: ${what}`,
  };
  return h("a", link, label);
}

/** The day before a time of another day; nothing of today's. @param {ReportedEvent} told */
function dayOf(told) {
  const day = timeText(whenOf(told).ms, "day");
  return day === t("time.today") ? null : `${day} `;
}

/** The minutes that more than one of them fell into: there the seconds tell which was which. @param {EventGroup[]} found */
function sharedMinutes(found) {
  const minutes = found.map(({ told }) => minuteOf(whenOf(told).ms));
  return new Set(minutes.filter((minute, at) => minutes.indexOf(minute) !== at));
}

/** @param {number} ms */
function minuteOf(ms) {
  return Math.floor(ms / 60_000);
}

/** @param {ReportedEvent} told */
function isFresh(told) {
  return told.event.body.type !== "clip_ready" && nowMs() - whenOf(told).ms < RECORDING_MS;
}
