/**
 * The page of this browser's notifications: what, when, pausing them, and on which phones they are
 * on. Nothing is asked of the owner before they press; what stands in the way is said, with what to
 * do about it.
 * @module
 */
import { switchBox } from "../components/controls.js";
import { rows } from "../components/rows.js";
import { fill, h, skeleton } from "../dom.js";
import { workerStoreOf } from "../worker_registration.js";
import { t, timeText } from "../i18n.js";
import { NoOwnWord } from "../orders.js";
import { NoPushKeys, turnOff, turnOn } from "../push.js";
import { nowMs } from "../town_time.js";
import { readAnyPush, readPush, writeWorkerStore } from "../worker_store.js";
import { isNotEnrolled } from "./live_refusal.js";
import { obstacle } from "./notifications_hint.js";
import { phonesSection } from "./notifications_phones.js";
import { pauseSection } from "./notifications_pause.js";
import { guarded, known } from "./parts.js";
import { labelled, minuteOf, timeField, zoneHere } from "./time_fields.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../push.js").Missed} Missed */
/** @typedef {import("../push.js").PushParties} PushParties */
/** @typedef {import("../worker_store.js").PushChoice} PushChoice */
/** @typedef {import("../worker_store.js").PushState} PushState */
/** @typedef {import("./notifications_hint.js").Obstacle} Obstacle */

const USUAL_QUIET = { from_minute: 22 * 60, to_minute: 7 * 60 };
const USUAL_SUMMARY = 18 * 60;
const SILENT_CHOICES = [15, 60, 360, 1440];

/** @param {Context} context */
export async function notificationsPage(context) {
  const place = h("div", { "aria-live": "polite" }, skeleton(3));
  await known(context.household);
  void show(context, place);
  return {
    title: t("push.heading"),
    body: [h("p", { class: "lead" }, t("push.lead")), place, phonesSection(context), whatOthersLearn()],
  };
}

/** @param {Context} context @param {HTMLElement} place @param {string} [said] what just came about */
async function show(context, place, said) {
  const { installed, household, relayUrl } = context;
  await installed.whenReady;
  const inTheWay = obstacle(installed.registration);
  const book = workerStoreOf(household, relayUrl);
  const parties = inTheWay === null ? await installed.parties(household, book).catch(() => null) : null;
  if (parties === null) return fill(place, blocked(inTheWay ?? "failed", () => show(context, place)));
  const state = await readPush(relayUrl);
  const elsewhere = state === undefined ? (await readAnyPush())?.relay_url : undefined;
  fill(
    place,
    said && h("p", { class: "notice", role: "status", id: "push-said" }, said),
    h("p", { class: state === undefined ? "state" : "state on", "data-testid": "push-state" }, t(state === undefined ? "push.is_off" : "push.is_on")),
    elsewhere !== undefined && h("p", { class: "notice", id: "push-elsewhere" }, t("push.elsewhere", { relay: new URL(elsewhere).host })),
    state !== undefined && pauseSection(parties, state),
    form(context, place, parties, state),
  );
}

/** @param {NonNullable<Obstacle>} why @param {() => void} again */
function blocked(why, again) {
  return h(
    "div",
    { class: "notice", id: "push-blocked", "data-why": why },
    h("p", {}, h("strong", {}, t(`push.blocked.${why}`))),
    h("p", {}, t(`push.blocked.${why}_help`)),
    why !== "none" && h("button", { onclick: again }, t("push.look_again")),
  );
}

/** @param {Context} context @param {HTMLElement} place @param {PushParties} parties @param {PushState | undefined} state */
function form(context, place, parties, state) {
  const problems = h("div", { "aria-live": "polite" });
  const fields = new ChoiceFields(state);
  const isOn = state !== undefined;
  const save = guarded(problems, async () => {
    try {
      if ((await Notification.requestPermission()) !== "granted") return void show(context, place);
      await context.household.heard(); // a doorbell's first note may just be coming
      const book = workerStoreOf(context.household, context.relayUrl);
      await writeWorkerStore(book); // the worker's: it must be there first
      const missed = await turnOn({ ...parties, doorbells: book.doorbells }, fields.choice);
      await show(context, place, saidText(isOn ? "push.saved" : "push.turned_on", missed));
    } catch (error) {
      if (!explain(problems, error)) throw error;
    }
  });
  const end = guarded(problems, async () => {
    await turnOff(parties);
    await show(context, place, t("push.turned_off"));
  });
  const buttons = [
    h("button", { class: "primary", id: "push-save" }, t(isOn ? "push.save" : "push.turn_on")),
    isOn && h("button", { type: "button", id: "push-off", onclick: end }, t("push.turn_off")),
    isOn && h("button", { type: "button", class: "quiet", id: "push-try", onclick: () => tryOne(parties) }, t("push.try")),
  ];
  return h(
    "form",
    { id: "push-form", onsubmit: save },
    fields.node,
    problems,
    h("div", { class: "actions" }, buttons),
    isOn && h("p", { class: "hint" }, t("push.try_help")),
  );
}

class ChoiceFields {
  /** @param {PushChoice | undefined} choice */
  constructor(choice) {
    const { kinds, quiet, summary, silent_after_minutes } = choice ?? { kinds: ["pressed"], quiet: null, summary: null, silent_after_minutes: null };
    const { from_minute, to_minute } = quiet ?? USUAL_QUIET;
    this.pressed = switchBox({ id: "push-pressed", isOn: kinds.includes("pressed") });
    this.motion = switchBox({ id: "push-motion", isOn: kinds.includes("motion") });
    this.emergency = switchBox({ id: "push-emergency", isOn: kinds.includes("emergency") });
    this.summary = switchBox({ id: "push-summary", isOn: summary !== null, onchange: () => this.#dim() });
    this.quiet = switchBox({ id: "push-quiet", isOn: quiet !== null, onchange: () => this.#dim() });
    this.summaryAt = timeField("push-summary-at", summary?.minute ?? USUAL_SUMMARY);
    this.from = timeField("push-from", from_minute);
    this.to = timeField("push-to", to_minute);
    this.silent = silentField(silent_after_minutes);
    this.summaryTime = h("div", { class: "span-fields" }, labelled("push.summary_at", this.summaryAt));
    this.times = h(
      "div",
      { class: "span-fields" },
      labelled("push.from", this.from),
      labelled("push.to", this.to),
      h("p", { class: "hint" }, t("push.quiet_help", { zone: zoneHere() })),
      quiet !== null && quiet.time_zone !== zoneHere() && h("p", { class: "notice", id: "push-other-zone" }, t("push.quiet_zone", { zone: quiet.time_zone, here: zoneHere() })),
    );
    this.#dim();
    const row = (/** @type {string} */ key, /** @type {string} */ more, /** @type {HTMLElement} */ control) => ({ title: t(key), more: t(more), control, for: control.id });
    this.node = h(
      "div",
      {},
      h("h2", {}, t("push.what")),
      rows([row("push.kind.pressed", "push.kind.pressed_help", this.pressed), row("push.kind.motion", "push.kind.motion_help", this.motion)]),
      h("h2", {}, t("push.requests")),
      rows([row("push.emergency", "push.emergency_help", this.emergency), row("push.summary", "push.summary_help", this.summary)]),
      this.summaryTime,
      h("h2", {}, h("label", { for: this.silent.id }, t("push.silent"))),
      h("p", { class: "hint" }, t("push.silent_help")),
      this.silent,
      h("h2", {}, t("push.when")),
      rows([row("push.quiet", "push.quiet_more", this.quiet)]),
      this.times,
    );
  }

  /** @returns {PushChoice} */
  get choice() {
    /** @type {PushChoice["kinds"]} */
    const kinds = [];
    if (this.pressed.checked) kinds.push("pressed");
    if (this.motion.checked) kinds.push("motion");
    if (this.emergency.checked) kinds.push("emergency");
    const hours = { from_minute: minuteOf(this.from), to_minute: minuteOf(this.to), time_zone: zoneHere() };
    const daily = { minute: minuteOf(this.summaryAt), time_zone: zoneHere() };
    const silent = Number(this.silent.value);
    return {
      kinds,
      quiet: this.quiet.checked ? hours : null,
      summary: this.summary.checked ? daily : null,
      silent_after_minutes: silent === 0 ? null : silent,
    };
  }

  #dim() {
    this.times.hidden = !this.quiet.checked;
    this.summaryTime.hidden = !this.summary.checked;
  }
}

/** @param {number | null} now minutes */
function silentField(now) {
  const choices = [h("option", { value: "0", selected: now === null }, t("push.silent.never"))];
  for (const minutes of SILENT_CHOICES) {
    choices.push(h("option", { value: String(minutes), selected: now === minutes }, t(`push.silent.${minutes}`)));
  }
  return h("select", { id: "push-silent" }, choices);
}

/** @param {string} key @param {Missed[]} missed */
function saidText(key, missed) {
  const names = missed.map(({ doorbell }) => doorbell.name).join(", ");
  return names ? `${t(key)} ${t("push.missed", { names })}` : t(key);
}

/** Says what only this page knows how to say; tells whether it has. @param {HTMLElement} problems @param {unknown} error */
function explain(problems, error) {
  if (error instanceof NoOwnWord || isNotEnrolled(error)) {
    const link = h("a", { class: "button", href: "#/browsers" }, t("push.enrol"));
    fill(problems, h("div", { class: "warning", role: "alert", id: "push-not-enrolled" }, h("p", {}, t("push.not_enrolled")), link));
    return true;
  }
  if (!(error instanceof NoPushKeys || error instanceof DOMException)) return false; // the browser's refusals
  fill(problems, h("div", { class: "warning", role: "alert", id: "push-no-service" }, h("p", {}, t("push.no_service"))));
  return true;
}

/** Shows one, as a ring would look. @param {PushParties} parties */
function tryOne({ registration, doorbells }) {
  const door = doorbells[0]?.name ?? "Doorward";
  return registration.showNotification(t("push.try_title"), {
    tag: "try",
    body: t("push.body", { door, time: timeText(nowMs(), "clock") }),
    icon: "./vendor/icons/icon-192.png",
    badge: "./vendor/icons/badge-96.png",
  });
}

function whatOthersLearn() {
  const lines = ["doorbell", "relay", "service", "silent", "lock"].map((who) => h("p", {}, t(`push.learn_${who}`)));
  return h("details", { id: "push-learn" }, h("summary", {}, t("push.learn")), lines);
}
