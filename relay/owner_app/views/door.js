/**
 * The first page: the door, its last visitors, and the button for live view.
 * @module
 */
import { knownBrowsers } from "../known_browsers.js";
import { fill, h, skeleton } from "../dom.js";
import { foldMotion, groupEvents, newestRows, troublesOf, whenOf } from "../event_groups.js";
import { isBlind } from "../health.js";
import { agoText, t, time, timeText, timeWithin } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { currentViewers } from "../current_viewers.js";
import { uncertaintyText, eventRow, moreMotionRow, moreVisitsRow } from "./events.js";
import { HealthPanels } from "./health.js";
import { notificationsHint } from "./notifications_hint.js";
import { formerDoorbells, noDoorbell } from "./no_doorbell.js";
import { Folds, living, noPicture, troubleHelp, troubleText } from "./parts.js";
import { liveLimitNotice } from "./live_limits.js";
import { Thumbs } from "./thumbs.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../event_groups.js").EventGroup} EventGroup */

const FRESH_MS = 60_000;
const SHOWN = 12;
const VISITS_SHOWN = 2;
const RENEW_BEFORE_MS = 5 * 24 * 3600 * 1000;

/** @param {Context} context */
export function doorPage(context) {
  const { household, left } = context;
  const health = new HealthPanels(household, left);
  const calls = new ReadyCalls(context);
  const folds = new Folds();
  const thumbs = new Thumbs(context);
  const hint = notificationsHint(context);
  return {
    title: t("door.title"),
    body: [
      living(context, () => {
        if (!household.isLoaded) return [household.hasContact ? skeleton(4) : nothingKnown()];
        if (household.doorbells.length === 0) return [...formerDoorbells(household), ...noDoorbell()];
        const { history, notes, asOfMs } = household;
        const cards = household.doorbells.map((bell) => {
          const more = [watched(household, bell.device), calls.hint(bell.device), renewal(household, bell.device)];
          return doorbellCard(bell, history, { health, thumbs, asOfMs }, more);
        });
        return [...cards, ...formerDoorbells(household), latest(groupEvents(history, notes), folds, thumbs)];
      }),
      hint,
    ],
  };
}

/** Keeps a call to each doorbell ready, so that a press of "See" shows the door at once. */
class ReadyCalls {
  /** @param {Context} context */
  constructor({ household, ready, left }) {
    this.household = household;
    this.ready = ready;
    this.left = left;
    /** @type {Map<string, HTMLElement>} from where it works, by doorbell */
    this.hints = new Map();
    this.#look();
    household.addEventListener("change", () => this.#look(), { signal: left });
  }

  /** @param {string} device */
  hint(device) {
    return this.hints.get(device);
  }

  #look() {
    for (const { device, state } of this.household.doorbells) {
      if (state === "online" && !this.hints.has(device)) void this.#keep(device);
    }
  }

  /** @param {string} device */
  async #keep(device) {
    const hint = h("div");
    this.hints.set(device, hint);
    void this.ready.keep(device, this.left);
    fill(hint, liveLimitNotice(await this.ready.reach(device).catch(() => undefined)));
  }
}

/** Who watches now, by the doorbell's sealed notes. @param {Household} household @param {string} device */
function watched(household, device) {
  const watching = currentViewers(household, device, nowMs());
  if (watching.length === 0 || household.asOfMs > 0) return null;
  const rows = watching.map(({ name, browser_name, at_ms }) =>
    h("li", {}, t("door.watching", { name, browser: browser_name }), " ", time(at_ms, "clock")),
  );
  return h("ul", { class: "watching", "data-testid": "watching-now", "aria-label": t("live.watching") }, rows);
}

/** Says when this browser will soon not be let in any more. @param {Household} household @param {string} device */
function renewal(household, device) {
  const id = household.browser?.id;
  const known = knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === id);
  if (known === undefined || known.until_ms - nowMs() > RENEW_BEFORE_MS) return null;
  const link = h("a", { href: `#/browsers/${device}` }, t("browsers.renew"));
  return h("p", { class: "hint" }, t("browsers.may"), " ", time(known.until_ms), ". ", link);
}

/** Opened without a network before anything was ever loaded here. */
function nothingKnown() {
  return h("p", { class: "empty", "data-testid": "nothing-known" }, t("door.nothing_known"));
}

/**
 * @param {Doorbell} bell @param {ReportedEvent[]} history
 * @param {{health: HealthPanels, thumbs: Thumbs, asOfMs: number}} how
 * @param {(Node | null | undefined)[]} more below the button
 */
function doorbellCard(bell, history, { health, thumbs, asOfMs }, more) {
  const isOnline = bell.state === "online" && asOfMs === 0;
  const pressed = history.find(
    ({ event }) => event.device === bell.device && event.body.type === "pressed",
  );
  const rang = pressed === undefined ? 0 : whenOf(pressed).ms;
  const isFresh = nowMs() - rang < FRESH_MS;
  const words = isFresh ? t("door.rang", { time: timeText(rang, "clock") }) : bell.name;
  const doubt = isFresh && pressed ? uncertaintyText(pressed) : "";
  const picture = isFresh && pressed?.has_thumbnail && thumbs.box(pressed, words);
  return h(
    "section",
    { class: isFresh ? "door fresh" : "door", "data-device": bell.device },
    h("h2", {}, words),
    doubt && h("p", { class: "muted", "data-testid": "rang-doubt" }, doubt),
    h("p", { class: isOnline ? "state on" : "state", "data-testid": "doorbell-state" }, stateText(bell, asOfMs)),
    picture && h("div", { class: "visitor" }, picture),
    wrongNow(bell, history),
    h(
      "a",
      { class: "button primary big", id: "see", href: `#/live/${bell.device}` },
      t("door.see"),
    ),
    !isOnline && asOfMs === 0 && h("p", { class: "hint" }, t("door.offline_help")),
    more,
    health.panel(bell),
  );
}

/** @param {Doorbell} bell @param {number} asOfMs when that was known, if not just now */
function stateText({ state, since_ms }, asOfMs) {
  if (asOfMs > 0) return t("door.as_of", { time: timeWithin(asOfMs) });
  return state === "online" ? t("door.online") : t("door.offline", { time: timeWithin(since_ms) });
}

/**
 * What is wrong now: what was told and isn't over, and what the last word on its health says.
 * @param {Doorbell} bell @param {ReportedEvent[]} history
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
  if (bell.cloned_ms && !codes.has("card_cloned")) lines.unshift(line(t("trouble.card_cloned"), t("trouble.card_cloned.help")));
  if (bell.claim_replayed_ms) lines.push(line(t("door.claim_replayed"), agoText(bell.claim_replayed_ms), t("door.claim_replayed.help")));
  if (bell.cloned_ms) lines.push(h("li", {}, h("a", { href: `#/identity/${bell.device}` }, t("door.new_identity"))));
  if (lines.length === 0) return null;
  return h("ul", { class: "wrong", "data-testid": "wrong-now", "aria-label": t("door.wrong") }, lines);
}

/** @param {string} words @param {...string} more */
function line(words, ...more) {
  const muted = more.filter(Boolean).join(" · ");
  return h("li", {}, words, muted && h("p", { class: "muted" }, muted));
}

/** @param {EventGroup[]} found newest first @param {Folds} folds @param {Thumbs} thumbs */
function latest(found, folds, thumbs) {
  const visits = found.filter(({ kind }) => kind === "visit");
  const hidden = visits.slice(VISITS_SHOWN);
  const shown = newestRows(foldMotion(found.filter((one) => !hidden.includes(one))), SHOWN);
  const row = (/** @type {(typeof shown)[number]} */ one) =>
    one.kind === "more_motion" ? moreMotionRow(one, folds, thumbs) : eventRow(one, thumbs);
  const rows = [...shown.map(row), hidden.length > 0 && moreVisitsRow(hidden, folds, thumbs)];
  const more = h("p", {}, h("a", { href: "#/history" }, t("door.all_clips")));
  return h(
    "section",
    {},
    h("h2", {}, t("door.latest")),
    shown.length
      ? [h("ul", { class: "rows", id: "events" }, rows), more]
      : h("p", { class: "empty" }, t("door.quiet")),
  );
}
