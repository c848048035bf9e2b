/**
 * Rows of the history: what it was, when, and the way to its recording.
 * @module
 */
import { h } from "../dom.js";
import { whenOf } from "../event_groups.js";
import { icon } from "../icons.js";
import { durationText, t, time, timeText, timeWithin } from "../i18n.js";
import { doubt, eventText, noteText } from "./events.js";
import { noPicture } from "./parts.js";

/** @typedef {import("../history_days.js").Entry} Entry */
/** @typedef {import("../clip_choices.js").Choice} Choice */
/** @typedef {{choice: Choice, door: string, thumbs: import("./thumbs.js").Thumbs, onOpen: () => void}} How `door` is its name, where there are several */

/** @param {Entry} entry @param {How} how */
export function entryRow(entry, { choice, door, thumbs, onOpen }) {
  const { group, ms } = entry;
  const { kind, told, others, clip } = group;
  const body = clip?.event.body;
  const words = entryWords(entry);
  const label = `${words}, ${timeText(ms)}`;
  const isBlind = told.event.body.type === "pressed" && told.event.body.camera !== "working" && !clip;
  const more = [door, alsoWords(others), body?.type === "clip_ready" && durationText(body.duration_ms), body?.type === "clip_ready" && body.is_cut_short && t("clip.cut_short")];
  const inside = [
    thumbs.of(group, label) ?? h("span", { class: "thumb", "aria-hidden": "true" }, icon("people")),
    h(
      "span",
      { class: "text" },
      h("span", { class: kind === "trouble" ? "title warn-text" : "title" }, words),
      h("span", { class: "muted" }, time(ms, "second"), doubt(told), more.filter(Boolean).map((one) => ` · ${one}`)),
      told.event.body.type === "pressed" && isBlind && h("span", { class: "warn-text" }, noPicture(told.event.body.camera)),
      choice.keptBy.length > 0 && h("span", { class: "kept-mark" }, t("history.kept_by", { names: choice.keptBy.join(", ") })),
      choice.deleted && h("span", { class: "warn-text" }, t("clip.deleted_until", { time: timeWithin(choice.deleted.until_ms) })),
    ),
  ];
  const properties = { class: kind === "pressed" ? "row ring" : "row", "data-testid": `entry-${kind.replace("_", "-")}`, "data-event": told.event.id };
  if (clip === undefined || body?.type !== "clip_ready") return h("li", properties, h("div", {}, inside));
  const link = { id: `open-${body.clip_id}`, href: `#/history/${clip.event.device}/${body.clip_id}`, onclick: onOpen };
  return h("li", { ...properties, "data-clip": body.clip_id }, h("a", link, inside, icon("chevron")));
}

/** What it was, in words. @param {Entry} entry */
export function entryWords({ group }) {
  const { kind, told, others } = group;
  if (kind === "visit" || kind === "browser") return noteText(group);
  // What set a recording off stands in the row of its first one.
  return kind === "clip_ready" && others.length > 0 ? t("event.goes_on") : eventText(told.event);
}

/** @param {import("../event_groups.js").ReportedEvent[]} others in the same recording */
function alsoWords(others) {
  const rings = others.filter(({ event }) => event.body.type === "pressed");
  return rings.map((told) => t("event.also_pressed", { time: timeText(whenOf(told).ms, "clock") })).join(" · ");
}
