/**
 * The first page: the door, who was there, one big button.
 * @module
 */
import { h, skeleton } from "../dom.js";
import { durationText, t, time, timeText } from "../i18n.js";
import { living } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../household.js").DoorbellEvent} DoorbellEvent */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */

const FRESH_MS = 60_000;
const SHOWN = 12;

/** @param {Context} context */
export function doorPage(context) {
  const { household } = context;
  return {
    title: t("door.title"),
    body: [
      living(context, () => {
        if (!household.isLoaded) return [skeleton(4)];
        if (household.doorbells.length === 0) return noDoorbell();
        return [...household.doorbells.map((bell) => doorbellCard(bell, household)), latest(household)];
      }),
    ],
  };
}

function noDoorbell() {
  return [
    h("p", { class: "lead" }, t("door.none")),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/start" }, t("door.add"))),
  ];
}

/** @param {Doorbell} bell @param {import("../household.js").Household} household */
function doorbellCard(bell, household) {
  const isOnline = bell.state === "online";
  const pressed = household.events.find(
    (event) => event.device === bell.device && event.body.type === "pressed",
  );
  const isFresh = pressed !== undefined && Date.now() - pressed.time_ms < FRESH_MS;
  const words = isFresh ? t("door.rang", { time: timeText(pressed.time_ms, "clock") }) : bell.name;
  const state = isOnline
    ? t("door.online")
    : t("door.offline", { time: timeText(bell.since_ms) });
  return h(
    "section",
    { class: isFresh ? "door fresh" : "door", "data-device": bell.device },
    h("h2", {}, words),
    h("p", { class: isOnline ? "state on" : "state", "data-testid": "doorbell-state" }, state),
    h(
      "a",
      { class: "button primary big", id: "see", href: `#/live/${bell.device}` },
      t("door.see"),
    ),
    !isOnline && h("p", { class: "hint" }, t("door.offline_help")),
  );
}

/** @param {import("../household.js").Household} household */
function latest(household) {
  const shown = household.events.filter(isShown(household)).slice(0, SHOWN);
  const more = h("p", {}, h("a", { href: "#/clips" }, t("door.all_clips")));
  return h(
    "section",
    {},
    h("h2", {}, t("door.latest")),
    shown.length
      ? [h("ul", { class: "rows", id: "events" }, shown.map((event) => row(event, household))), more]
      : h("p", { class: "empty" }, t("door.quiet")),
  );
}

/**
 * A clip is shown with the press that made it.
 * @param {import("../household.js").Household} household
 */
function isShown(household) {
  return (/** @type {DoorbellEvent} */ event) => {
    if (event.body.type === "pressed" || event.body.type === "paired") return true;
    return event.body.type === "clip_ready" && !household.told.has(event.body.trigger_event_id);
  };
}

/** @param {DoorbellEvent} event @param {import("../household.js").Household} household */
function row(event, household) {
  const { body } = event;
  const clip = body.type === "clip_ready" ? /** @type {ClipEvent} */ (event) : clipOf(event, household);
  return h(
    "li",
    { "data-testid": `event-${body.type.replace("_", "-")}`, "data-event": event.id },
    h("div", { class: "grow" }, h("strong", {}, t(`event.${body.type}`)), when(event)),
    clip && watch(clip),
    body.type === "pressed" && !clip && isRecent(event) && h("span", { class: "muted" }, t("event.recording")),
  );
}

/** @param {DoorbellEvent} pressed @param {import("../household.js").Household} household */
function clipOf(pressed, household) {
  return household.clips.find((clip) => clip.body.trigger_event_id === pressed.id);
}

/** @param {ClipEvent} clip */
function watch(clip) {
  const { clip_id, duration_ms } = clip.body;
  const label = t("clip.watch", { duration: durationText(duration_ms) });
  return h("a", { class: "button", href: `#/clips/${clip.device}/${clip_id}` }, label);
}

/** @param {DoorbellEvent} event */
function when(event) {
  const doubt = event.is_clock_trusted ? null : ` · ${t("event.clock_unsure")}`;
  return h("span", { class: "muted" }, time(event.time_ms), doubt);
}

/** @param {DoorbellEvent} event */
function isRecent(event) {
  return Date.now() - event.time_ms < FRESH_MS;
}
