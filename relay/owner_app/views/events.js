/**
 * The list of grouped events: one row each, with kind, time and recording.
 * @module
 */
import { h } from "../dom.js";
import { whenOf } from "../event_groups.js";
import { durationText, t, time, timeText, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { isLine } from "../vendor/protocol/plain_text.js";
import { noPicture, troubleText } from "./parts.js";

/** @typedef {import("../event_groups.js").EventGroup} EventGroup */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../vendor/protocol/documents.js").ClipReady} ClipReady */
/** @typedef {import("../vendor/protocol/documents.js").DoorbellEvent} DoorbellEvent */


/** As firmware/config/values.py has it: names come unsigned, and a longer one would be a message. */
const LONGEST_ZONE = 40;
/** The longest recording, and a while to finish it. */
const RECORDING_MS = 150_000;

/** @param {EventGroup} happening @param {import("./thumbs.js").Thumbs} thumbs */
export function eventRow(happening, thumbs) {
  const { kind, told, others, clip } = happening;
  if (kind === "visit" || kind === "browser") return noteRow(happening);
  const { event } = told;
  const isBlind = event.body.type === "pressed" && event.body.camera !== "working" && !clip;
  const isLong = others.length > 0 || whenOf(told).dating !== "sure";
  const isTrouble = event.body.type === "trouble" && !event.body.is_over;
  // What set a clip off stands in the row of its first one.
  const words = kind === "clip_ready" && others.length > 0 ? t("event.goes_on") : eventText(event);
  const also = [...new Set(others.map((other) => alsoText(other, kind === "pressed")))];
  return h(
    "li",
    { "data-testid": `event-${kind.replace("_", "-")}`, "data-event": event.id },
    thumbs.of(happening, `${words}, ${timeText(whenOf(told).ms)}`),
    h(
      "div",
      { class: isLong ? "grow sentence" : "grow" },
      h("strong", { class: isTrouble ? "warn-text" : undefined }, words),
      h("span", { class: "muted" }, time(whenOf(told).ms), doubt(told)),
      event.body.type === "pressed" && isBlind && h("p", { class: "warn-text" }, noPicture(event.body.camera)),
      also.length > 0 && h("p", { class: "muted" }, also.join(" · ")),
    ),
    clip && watch(clip, `${words}, ${timeText(whenOf(told).ms)}`),
    isBeingRecorded(kind, told) && !clip && !isBlind && h("span", { class: "muted" }, t("event.recording")),
  );
}

/** Who watched, or which browser may watch now or no more. @param {EventGroup} happening */
function noteRow(happening) {
  const { kind, told, visit } = happening;
  const { ms } = whenOf(told);
  const words = noteText(happening);
  return h(
    "li",
    { "data-testid": `event-${kind}`, "data-event": told.event.id },
    h("div", { class: "grow" }, h("p", {}, words), h("span", { class: "muted" }, time(visit?.began_ms ?? ms))),
  );
}

/** What a row of a note says. @param {EventGroup} happening */
export function noteText({ visit, note }) {
  return visit ? visitText(visit) : browserText(note);
}

/** @param {import("../event_groups.js").Visit} visit */
function visitText({ name, browser_name, began_ms, ended_ms, has_talked }) {
  const how = { name, browser: browser_name, duration: durationText(ended_ms - began_ms) };
  return t(has_talked ? "watch.talked" : "watch.watched", how);
}

/** @param {import("../vendor/protocol/documents.js").NoteBody | undefined} note */
function browserText(note) {
  if (note?.type === "browser_enrolled") {
    return t("watch.enrolled", { browser: note.name, day: timeText(note.until_ms, "day") });
  }
  return note?.type === "browser_ended" ? t("watch.ended", { browser: note.name }) : "";
}

/**
 * Visits folded into one row.
 * @param {EventGroup[]} visits newest first @param {import("./parts.js").Folds} folds
 * @param {import("./thumbs.js").Thumbs} thumbs
 */
export function moreVisitsRow(visits, folds, thumbs) {
  const rows = () => h("ul", { class: "rows" }, visits.map((visit) => eventRow(visit, thumbs)));
  return h("li", { class: "folded", "data-testid": "more-visits" }, folds.fold("visits", tn("watch.more", visits.length), rows));
}

/** The press, or else the first motion. @param {ReportedEvent[]} triggers oldest first */
export function triggerText(triggers) {
  const told = triggers.find(({ event }) => event.body.type === "pressed") ?? triggers[0];
  return told && eventText(told.event);
}

/** What an event is, in words. @param {DoorbellEvent} event */
export function eventText(event) {
  const { body } = event;
  if (body.type === "trouble") return troubleText(event);
  if (body.type !== "motion") return t(`event.${body.type}`);
  const zones = (body.names ?? []).filter((zone) => isLine(zone) && [...zone].length <= LONGEST_ZONE);
  return zones.length === 0 ? t("event.motion") : t("event.motion_in", { zones: zones.join(", ") });
}

/** Says behind a time what is to be known about it. @param {ReportedEvent} told */
export function doubt(told) {
  const text = uncertaintyText(told);
  return text && ` · ${text}`;
}

/** What is to be known about a time; nothing, if it is sure. @param {ReportedEvent} told */
export function uncertaintyText(told) {
  const { dating } = whenOf(told);
  return dating === "sure" ? "" : t(`event.clock_${dating}`);
}

/** @param {ReportedEvent} told one that lies in the same recording @param {boolean} isRing is that of a ring */
function alsoText(told, isRing) {
  const time = timeText(whenOf(told).ms, "clock");
  if (isRing && told.event.body.type === "pressed") return t("event.also_pressed", { time });
  return t("event.also", { what: eventText(told.event), time });
}

/** @param {ReportedEvent} clip @param {string} what it shows, for those who hear the link alone */
function watch(clip, what) {
  const { clip_id, duration_ms } = /** @type {ClipReady} */ (clip.event.body);
  const label = t("clip.watch", { duration: durationText(duration_ms) });
  const link = {
    class: "button",
    id: `watch-${clip_id}`, // the page is redrawn at every change: the focus stays
    href: `#/history/${clip.event.device}/${clip_id}`,
    "aria-label": `${label}: ${what}`,
  };
  return h("a", link, label);
}

/** @param {EventGroup["kind"]} kind @param {ReportedEvent} told */
function isBeingRecorded(kind, told) {
  const isTrigger = kind === "pressed" || kind === "motion";
  return isTrigger && nowMs() - whenOf(told).ms < RECORDING_MS;
}
