/**
 * The first page: the door, who was there, one big button.
 * @module
 */
import { h, skeleton } from "../dom.js";
import { foldMotion, happenings, newestRows, troublesOf, whenOf } from "../happenings.js";
import { isBlind } from "../health.js";
import { agoText, t, timeText } from "../i18n.js";
import { eventRow, moreMotionRow } from "./events.js";
import { HealthPanels } from "./health.js";
import { Folds, living, noPicture, troubleHelp, troubleText } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../happenings.js").Told} Told */

const FRESH_MS = 60_000;
const SHOWN = 12;

/** @param {Context} context */
export function doorPage(context) {
  const { household, left } = context;
  const health = new HealthPanels(household, left);
  const folds = new Folds();
  return {
    title: t("door.title"),
    body: [
      living(context, () => {
        if (!household.isLoaded) return [skeleton(4)];
        if (household.doorbells.length === 0) return noDoorbell();
        const { history } = household;
        return [...household.doorbells.map((bell) => doorbellCard(bell, history, health)), latest(history, folds)];
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

/** @param {Doorbell} bell @param {Told[]} history @param {HealthPanels} health */
function doorbellCard(bell, history, health) {
  const isOnline = bell.state === "online";
  const pressed = history.find(
    ({ event }) => event.device === bell.device && event.body.type === "pressed",
  );
  const rang = pressed === undefined ? 0 : whenOf(pressed).ms;
  const isFresh = Date.now() - rang < FRESH_MS;
  const words = isFresh ? t("door.rang", { time: timeText(rang, "clock") }) : bell.name;
  const state = isOnline
    ? t("door.online")
    : t("door.offline", { time: timeText(bell.since_ms) });
  return h(
    "section",
    { class: isFresh ? "door fresh" : "door", "data-device": bell.device },
    h("h2", {}, words),
    h("p", { class: isOnline ? "state on" : "state", "data-testid": "doorbell-state" }, state),
    wrongNow(bell, history),
    h(
      "a",
      { class: "button primary big", id: "see", href: `#/live/${bell.device}` },
      t("door.see"),
    ),
    !isOnline && h("p", { class: "hint" }, t("door.offline_help")),
    health.panel(bell),
  );
}

/**
 * What is wrong now: what was told and isn't over, and what the last word on its health says.
 * @param {Doorbell} bell @param {Told[]} history
 */
function wrongNow(bell, history) {
  const health = bell.state === "online" ? bell.health?.health : undefined; // else it may be long ago
  const told = troublesOf([...history, ...bell.troubles], bell.device);
  const codes = new Set(told.map(({ event }) => event.body.type === "trouble" && event.body.code));
  const why = health && isBlind(health.camera) ? noPicture(health.camera) : undefined;
  const lines = told.map((trouble) => {
    const { body } = trouble.event;
    const isCamera = body.type === "trouble" && body.code === "camera";
    return line((isCamera && why) || troubleText(trouble.event), agoText(whenOf(trouble).ms), troubleHelp(trouble.event));
  });
  if (why && !codes.has("camera")) lines.unshift(line(why));
  if (health?.has_weak_power && !codes.has("power_weak")) lines.unshift(line(t("trouble.power_weak")));
  if (lines.length === 0) return null;
  return h("ul", { class: "wrong", "data-testid": "wrong-now", "aria-label": t("door.wrong") }, lines);
}

/** @param {string} words @param {...string} more */
function line(words, ...more) {
  const muted = more.filter(Boolean).join(" · ");
  return h("li", {}, words, muted && h("p", { class: "muted" }, muted));
}

/** @param {Told[]} history @param {Folds} folds */
function latest(history, folds) {
  const shown = newestRows(foldMotion(happenings(history)), SHOWN);
  const row = (/** @type {(typeof shown)[number]} */ one) =>
    one.kind === "more_motion" ? moreMotionRow(one, folds) : eventRow(one);
  const more = h("p", {}, h("a", { href: "#/clips" }, t("door.all_clips")));
  return h(
    "section",
    {},
    h("h2", {}, t("door.latest")),
    shown.length
      ? [h("ul", { class: "rows", id: "events" }, shown.map(row)), more]
      : h("p", { class: "empty" }, t("door.quiet")),
  );
}
