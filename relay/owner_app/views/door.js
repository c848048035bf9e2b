/**
 * The first page: each door's last picture, the ways to see and talk, what is wrong, and today.
 * @module
 */
import { decisionsOn, guestTimes } from "../account.js";
import { isBlind } from "../camera_states.js";
import { mayStand } from "../decision_notes.js";
import { fill, h, mark, skeleton } from "../dom.js";
import { choicesOf } from "../clip_choices.js";
import { groupEvents, troublesOf, whenOf } from "../event_groups.js";
import { agoText, t, time, timeText, timeWithin } from "../i18n.js";
import { icon } from "../icons.js";
import { nowMs } from "../town_time.js";
import { currentViewers } from "../current_viewers.js";
import { uncertaintyText, eventRow, moreVisitsRow } from "./events.js";
import { Folds, living, noPicture, troubleHelp, troubleText } from "./parts.js";
import { Thumbs } from "./thumbs.js";
import { Today, isPictured } from "./today.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../event_groups.js").EventGroup} EventGroup */

const FRESH_MS = 60_000;
/** How old the last picture is stands below it. */
const REDRAW_MS = 30_000;
const OTHERS_SHOWN = 6;
/** The door's picture and today's come first. */
const LATER_MS = 1000;
const VISITS_SHOWN = 2;

/** @param {Context} context */
export function doorPage(context) {
  const { household, left, pictures } = context;
  /** @type {import("./health.js").HealthPanels | null} */
  let health = null;
  /** @type {typeof import("./renewal.js").renewal | null} */
  let renewal = null;
  const calls = new ReadyCalls(context);
  const folds = new Folds();
  const thumbs = new Thumbs(context);
  const today = new Today(thumbs);
  const without = new WithoutDoorbell();
  const hint = h("div");
  let isLaterBegun = false;
  // After the door's own picture: neither is what an owner came for.
  const later = async (/** @type {() => void} */ redraw) => {
    const [{ HealthPanels }, { notificationsHint }, found] = await Promise.all([import("./health.js"), import("./notifications_hint.js"), import("./renewal.js")]);
    if (left.aborted) return;
    renewal = found.renewal;
    health = new HealthPanels(household, left);
    redraw();
    fill(hint, notificationsHint(context));
  };
  const content = (/** @type {() => void} */ redraw) => {
    if (!household.isLoaded) return [household.hasContact ? skeleton(4) : nothingKnown()];
    if (!isLaterBegun) setTimeout(() => later(redraw).catch((error) => console.warn("health", error)), LATER_MS);
    isLaterBegun = true;
    const mayCome = household.asOfMs > 0 && household.hasContact; // what was kept may not know it yet
    if (household.doorbells.length === 0 && mayCome) return [skeleton(4)];
    if (household.doorbells.length === 0) return without.loaded(redraw)?.nothingHere(household) ?? [skeleton(4)];
    const { history, notes } = household;
    const cards = household.doorbells.map((bell, at) => {
      const more = [watched(household, bell.device), calls.hint(bell.device), renewal?.(household, bell.device)];
      return doorbellCard(bell, { at, household, history, health, thumbs, frame: pictures.lastFrame(bell.device) }, more);
    });
    const found = choicesOf(household).shown(groupEvents(history, notes));
    return [
      h("div", { class: "doors", id: "doors" }, cards),
      asked(household),
      ...(hadDoorbells(household) ? (without.loaded(redraw)?.formerDoorbells(household) ?? []) : []),
      today.section(found.filter(isPictured), redraw),
      others(found.filter((one) => !isPictured(one)), folds, thumbs),
    ];
  };
  return { title: t("door.title"), isWide: true, isTitleHidden: true, body: [living(context, content, REDRAW_MS), hint] };
}

/** Whether there may be one to say goodbye to. @param {Household} household */
function hadDoorbells({ gone, owner }) {
  return gone.length > 0 || Object.keys(guestTimes(owner)).length > 0;
}

/** The words for whoever has no doorbell, or one no more: fetched when somebody is that. */
class WithoutDoorbell {
  constructor() {
    /** @type {typeof import("./no_doorbell.js") | null} */
    this.words = null;
    this.isAsked = false;
  }

  /** Returns them, or null and draws anew once they are there. @param {() => void} redraw */
  loaded(redraw) {
    if (!this.isAsked) {
      this.isAsked = true;
      const take = (/** @type {typeof import("./no_doorbell.js")} */ words) => {
        this.words = words;
        redraw();
      };
      import("./no_doorbell.js").then(take).catch((error) => console.warn("no doorbell", error));
    }
    return this.words;
  }
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
    const reach = await this.ready.reach(device).catch(() => undefined);
    const { liveLimitNotice } = await import("./live_limits.js");
    fill(hint, liveLimitNotice(reach));
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

/** Opened without a network before anything was ever loaded here. */
function nothingKnown() {
  return h("p", { class: "empty", "data-testid": "nothing-known" }, t("door.nothing_known"));
}

/**
 * @param {Doorbell} bell
 * @param {{at: number, household: Household, history: ReportedEvent[], health: import("./health.js").HealthPanels | null, thumbs: Thumbs, frame: Frame | undefined}} how
 * @param {(Node | null | undefined)[]} more below the buttons
 */
function doorbellCard(bell, { at, household, history, health, thumbs, frame }, more) {
  const { device } = bell;
  const isOnline = bell.state === "online" && household.asOfMs === 0 && household.hasContact;
  const pressed = history.find(({ event }) => event.device === device && event.body.type === "pressed");
  const rang = pressed === undefined ? 0 : whenOf(pressed).ms;
  const isFresh = nowMs() - rang < FRESH_MS;
  const words = isFresh ? t("door.rang", { time: timeText(rang, "clock") }) : bell.name;
  const doubt = isFresh && pressed ? uncertaintyText(pressed) : "";
  const id = (/** @type {string} */ name) => (at === 0 ? name : `${name}-${device}`);
  return h(
    "section",
    { class: isFresh ? "door fresh" : "door", "data-device": device },
    lastPicture(bell, isFresh && pressed?.has_thumbnail ? pressed : undefined, history, thumbs, frame),
    h(
      "div",
      { class: "door-words" },
      h("h2", {}, words),
      doubt && h("p", { class: "muted", "data-testid": "rang-doubt" }, doubt),
      h("p", { class: isOnline ? "state on" : "state", "data-testid": "doorbell-state" }, stateText(bell, household)),
      wrongNow(bell, history),
      h(
        "div",
        { class: "see-and-talk" },
        h("a", { class: "button primary", id: id("see"), href: `#/live/${device}` }, icon("see"), t("door.see")),
        h("a", { class: "button", id: id("talk-now"), href: `#/live/${device}?talk` }, icon("microphone"), t("door.talk")),
      ),
      !isOnline && household.asOfMs === 0 && household.hasContact && h("p", { class: "hint" }, t("door.offline_help")),
      more,
      health === null ? bell.health && h("div", { class: "health-soon" }) : health.panel(bell),
    ),
  );
}

/** @typedef {import("../pictures.js").Frame} Frame */

/**
 * The last picture across the door's width, with its age; a touch of it leads to live view.
 * @param {Doorbell} bell @param {ReportedEvent | undefined} ring one of just now
 * @param {ReportedEvent[]} history newest first @param {Thumbs} thumbs @param {Frame | undefined} frame of a live view here
 */
function lastPicture({ device, name }, ring, history, thumbs, frame) {
  const told = ring ?? history.find(({ event, has_thumbnail }) => event.device === device && has_thumbnail);
  const toldMs = told === undefined ? 0 : whenOf(told).ms;
  const isFrame = ring === undefined && frame !== undefined && frame.takenMs > toldMs;
  const ms = isFrame ? frame.takenMs : toldMs;
  const age = ms > 0 && (nowMs() - ms < FRESH_MS ? t("door.just_now") : agoText(ms));
  const place = isFrame ? h("div", { class: "thumb" }, h("img", { src: frame.url, alt: "" })) : told === undefined ? h("div", { class: "thumb" }, mark()) : thumbs.box(told, name);
  return h(
    "a",
    { class: "frame", href: `#/live/${device}` },
    h("span", { class: "visually-hidden" }, t("door.frame", { door: name }), ": "),
    place,
    age ? h("span", { class: "frame-age", title: timeText(ms) }, age) : h("span", { class: "frame-age" }, t("door.no_picture")),
  );
}

/** One quiet line where the police ask and nothing was answered yet: no badge, and no colour of alarm. @param {Household} household */
function asked(household) {
  const isOpen = household.matches.some((match) => {
    const { grant, decline } = decisionsOn(match.device, match.request_digest);
    return mayStand(match, nowMs()) && grant === undefined && decline === undefined;
  });
  return isOpen && h("p", { class: "muted", "data-testid": "police-ask" }, t("door.asked"), " ", h("a", { href: "#/requests" }, t("requests.read")));
}

/** @param {Doorbell} bell @param {Household} household when that was known, if not just now */
function stateText({ state, since_ms }, { asOfMs, hasContact, lostContactMs }) {
  if (asOfMs > 0) return t("door.as_of", { time: timeWithin(asOfMs) });
  if (!hasContact) return t("door.lost_contact", { time: timeWithin(lostContactMs) });
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

/**
 * What happened and has no picture: who looked, what was wrong, who came and went.
 * @param {EventGroup[]} found newest first @param {Folds} folds @param {Thumbs} thumbs
 */
function others(found, folds, thumbs) {
  const visits = found.filter(({ kind }) => kind === "visit");
  const hidden = visits.slice(VISITS_SHOWN);
  const shown = found.filter((one) => !hidden.includes(one)).slice(0, OTHERS_SHOWN);
  if (shown.length === 0) return null;
  const rows = [...shown.map((one) => eventRow(one, thumbs)), hidden.length > 0 && moreVisitsRow(hidden, folds, thumbs)];
  return h("section", {}, h("h2", {}, t("door.others")), h("ul", { class: "rows", id: "others" }, rows));
}
