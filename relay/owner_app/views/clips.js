/**
 * The pages of recordings: the list, and one recording. They come from the doorbell itself, never
 * by the relay.
 * @module
 */
import { ClipReader } from "../clips.js";
import { h, skeleton } from "../dom.js";
import { goesOn, triggersOf, whenOf } from "../event_groups.js";
import { durationText, t, time, timeText } from "../i18n.js";
import { ClipStage } from "./clip_stage.js";
import { doubt, eventText, triggerText } from "./events.js";
import { guarded, living } from "./parts.js";
import { Thumbs } from "./thumbs.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */

/** Less before a trigger than this is nothing to speak of. */
const SOON_MS = 500;

/** What a doorbell keeps from before a trigger, if nothing else is set. */
const USUAL_PRE_ROLL_MS = 6000;

/** @param {Context} context */
export function clipsPage(context) {
  const { household, parts } = context;
  const place = h("div", { "aria-live": "polite" });
  const older = guarded(place, () => household.loadOlder());
  const thumbs = new Thumbs(context);
  const list = living(context, () => {
    if (!household.isLoaded) return [skeleton(5)];
    if (parts[0] && household.doorbell(parts[0]) === undefined) return unknownDoorbell();
    const clips = household.clips.filter((clip) => !parts[0] || clip.device === parts[0]);
    if (clips.length === 0) return [h("p", { class: "empty" }, t("clips.none"))];
    const { history } = household;
    return [
      h("ul", { class: "rows", id: "clips" }, clips.map((clip) => row(clip, household, history, thumbs))),
      !household.isComplete && h("button", { id: "older", onclick: older }, t("clips.older")),
    ];
  });
  return { title: t("clips.title"), body: [h("p", { class: "muted" }, t("clips.lead")), list, place] };
}

/**
 * @param {ClipEvent} clip @param {import("../household.js").Household} household
 * @param {ReportedEvent[]} history @param {Thumbs} thumbs
 */
function row(clip, household, history, thumbs) {
  const { clip_id, duration_ms, is_cut_short } = clip.body;
  const told = toldOf(household, clip);
  const triggers = triggersOf(history, told);
  const what = goesOn(history, told) ? t("event.goes_on") : triggerText(triggers);
  const detail = [what, durationText(duration_ms), is_cut_short && t("clip.cut_short")];
  const when = whenOf(told).ms;
  const link = {
    class: "button",
    id: `open-${clip_id}`,
    href: `#/history/${clip.device}/${clip_id}`,
    "aria-label": [`${t("clip.open")}: ${timeText(when)}`, what].filter(Boolean).join(", "),
  };
  return h(
    "li",
    { "data-testid": "clip", "data-clip": clip_id },
    thumbs.box(triggers.find(({ has_thumbnail }) => has_thumbnail), [what, timeText(when)].filter(Boolean).join(", "), told),
    h(
      "div",
      { class: "grow" },
      h("strong", {}, time(when)),
      h("span", { class: "muted" }, detail.filter(Boolean).join(" · "), doubt(triggers[0] ?? told)),
    ),
    h("a", link, t("clip.open")),
  );
}

/** @param {import("../household.js").Household} household @param {ClipEvent} clip */
function toldOf(household, clip) {
  return /** @type {ReportedEvent} */ (household.told.get(clip.id));
}

/** @param {Context} context */
export async function clipPage(context) {
  const { household, ready, parts, left } = context;
  const [device, clipId] = parts;
  const find = () => household.clips.find((found) => found.device === device && found.body.clip_id === clipId);
  if (find() === undefined) await household.heard();
  const clip = find();
  if (clip === undefined) {
    const isKnown = household.doorbell(device) !== undefined;
    const why = isKnown ? [h("p", { id: "no-such-clip" }, t("clip.unknown")), allClips()] : unknownDoorbell();
    return { title: t("clips.title"), body: why };
  }
  const reader = new ClipReader(ready, device);
  left.addEventListener("abort", () => reader.close());
  const stage = new ClipStage(context, reader, clip);
  stage.show();
  const { duration_ms, pre_roll_ms, is_cut_short } = clip.body;
  const told = toldOf(household, clip);
  const triggers = triggersOf(household.history, told);
  const before = goesOn(household.history, told) ? t("clip.goes_on") : preRollText(pre_roll_ms, triggers[0]);
  return {
    title: t("clip.title"),
    isWide: true,
    body: [
      h("p", {}, time(whenOf(told).ms), ` · ${durationText(duration_ms)}`, doubt(triggers[0] ?? told)),
      stage.node,
      triggers.length > 0 && h("ul", { id: "triggers" }, triggers.map(triggerItem)),
      h("p", { class: "muted" }, before),
      is_cut_short && h("p", { class: "muted" }, t("clip.cut_short_help")),
      allClips(),
    ].filter((node) => node !== false),
  };
}

function unknownDoorbell() {
  return [h("p", { id: "no-such-doorbell" }, t("clips.unknown_doorbell")), allClips()];
}

function allClips() {
  return h("p", {}, h("a", { href: "#/history" }, t("clip.back")));
}

/** @param {number} preRollMs @param {ReportedEvent | undefined} first what set the clip off, if it is known */
function preRollText(preRollMs, first) {
  const type = first?.event.body.type;
  const what = type === "pressed" ? "ring" : (type ?? "trigger");
  if (preRollMs < SOON_MS) return t(`clip.no_pre_roll.${what}`);
  const text = t(`clip.pre_roll.${what}`, { duration: durationText(preRollMs) });
  return preRollMs < USUAL_PRE_ROLL_MS ? `${text} ${t("clip.pre_roll_short")}` : text;
}

/** @param {ReportedEvent} told */
function triggerItem(told) {
  return h("li", {}, `${eventText(told.event)}, `, time(whenOf(told).ms, "second"));
}
