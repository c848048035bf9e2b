/**
 * The history: what happened at the doors day by day, each with a line of its hours, filtered, and
 * read from the relay page by page as one scrolls.
 * @module
 */
import { choicesOf } from "../clip_choices.js";
import { chips, empty } from "../components/controls.js";
import { fill, h, skeleton } from "../dom.js";
import { groupEvents } from "../event_groups.js";
import { choiceOf, daysOf, dayStart, nextDay, shownOf } from "../history_days.js";
import { fullDayText, t, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { DayLine, dayCounts } from "./day_line.js";
import { DayList } from "./day_list.js";
import { entryRow, entryWords } from "./history_rows.js";
import { problem } from "./parts.js";
import { Thumbs } from "./thumbs.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../history_days.js").Kind} Kind */
/** @typedef {import("../history_days.js").Day} Day */
/** @typedef {import("../history_days.js").Entry} Entry */

/** @type {Kind[]} */
const KINDS = ["ring", "motion", "kept", "deleted"];
/** The most that the relay gives at once. */
const PAGE = 200;
/** Where the list ends is looked for so far below the screen. */
const AHEAD = "2500px 0px";

/** The row that was opened last: whoever comes back is where they were. */
let opened = "";

/** @param {Context} context */
export function historyPage(context) {
  return { title: t("history.title"), body: new History(context).nodes };
}

/** What is said of an address of no doorbell of theirs. */
export function unknownDoorbell() {
  return [h("p", { id: "no-such-doorbell" }, t("clips.unknown_doorbell")), h("p", {}, h("a", { href: "#/history" }, t("clip.back")))];
}

class History {
  /** @param {Context} context */
  constructor(context) {
    const { household, query, parts, left } = context;
    this.context = context;
    this.household = household;
    this.device = parts[0];
    this.kinds = new Set(KINDS.filter((kind) => query.getAll("show").includes(kind)));
    this.thumbs = new Thumbs(context);
    /** @type {DayList<Entry>} */
    this.list = new DayList(
      { head: (day) => this.#head(day), row: (entry) => this.#row(entry), mark: (entry) => this.#mark(entry) },
      left,
    );
    this.filters = h("div", { class: "filters" });
    this.state = h("div", { id: "history-state" });
    this.foot = h("div", { id: "history-end", "aria-live": "polite" });
    this.nodes = [this.filters, this.state, this.list.node, this.foot];
    this.isReading = false;
    this.isNear = false;
    this.isDue = false;
    this.drawn = "";
    this.choices = choicesOf(household);
    this.shownFilters = "";
    const end = new IntersectionObserver((seen) => {
      this.isNear = seen[seen.length - 1].isIntersecting; // a slow phone hears of several frames at once
      if (this.isNear) void this.#readOlder();
    }, { rootMargin: AHEAD });
    end.observe(this.foot);
    left.addEventListener("abort", () => end.disconnect());
    this.#draw();
    for (const type of ["change", "contact"]) household.addEventListener(type, () => this.#drawSoon(), { signal: left });
    if (opened !== "") requestAnimationFrame(() => requestAnimationFrame(() => this.#comeBack()));
  }

  /** Draws with the next picture, however much has changed until then. */
  #drawSoon() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      if (!this.context.left.aborted) this.#draw();
    });
  }

  /** Draws what has changed since. */
  #draw() {
    const { household } = this;
    if (!household.isLoaded) return fill(this.state, skeleton(5));
    if (this.device !== undefined && household.doorbell(this.device) === undefined) {
      const isOld = household.asOfMs > 0 && household.hasContact; // what was kept may not know it yet
      return fill(this.state, isOld ? skeleton(5) : unknownDoorbell());
    }
    this.#drawFilters();
    const now = `${household.revision} ${household.told.size} ${[...this.kinds]} ${household.isComplete}`;
    if (now === this.drawn) return;
    this.drawn = now;
    const choices = (this.choices = choicesOf(household));
    const groups = groupEvents(household.history, household.notes);
    const shown = shownOf(groups, { kinds: this.kinds, device: this.device }, choices, nowMs());
    const focused = document.activeElement?.id;
    this.list.update(daysOf(shown));
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
    fill(this.state, shown.length === 0 && this.#nothing(groups.length));
    if (this.isReading) return;
    fill(this.foot, household.isComplete ? shown.length > 0 && h("p", { class: "muted" }, t("history.end")) : skeleton(2));
    if (this.isNear || shown.length === 0) void this.#readOlder();
  }

  /** @param {number} all how many there are whatever is asked for */
  #nothing(all) {
    if (!this.household.isComplete) return skeleton(3);
    if (all === 0) return empty(t("clips.none"), { icon: "history" });
    const reset = h("button", { id: "show-all", onclick: () => this.#choose(new Set()) }, t("history.show_all"));
    return empty(t("history.none_of_these"), { icon: "history", action: reset });
  }

  #drawFilters() {
    const { household, kinds } = this;
    const hasDeleted = kinds.has("deleted") || choicesOf(household).hasUndo(nowMs());
    const doors = household.doorbells.map(({ device, name }) => ({ device, name }));
    const mark = JSON.stringify([[...kinds], hasDeleted, doors]);
    if (mark === this.shownFilters) return; // what is under a finger stays
    this.shownFilters = mark;
    const all = KINDS.filter((kind) => kind !== "deleted" || hasDeleted);
    const some = chips(
      all.map((kind) => ({ id: `show-${kind}`, text: t(`history.only.${kind}`), isOn: kinds.has(kind) })),
      (id, isOn) => {
        const kind = /** @type {Kind} */ (id.replace("show-", ""));
        const chosen = new Set(kinds);
        if (isOn) chosen.add(kind);
        else chosen.delete(kind);
        this.#choose(chosen);
      },
      t("history.filters"),
    );
    fill(this.filters, some, doors.length > 1 && this.#doors(doors), this.#day());
  }

  /** @param {{device: string, name: string}[]} doors */
  #doors(doors) {
    const options = doors.map(({ device, name }) => h("option", { value: device, selected: device === this.device }, name));
    const go = () => (location.hash = `#/history${select.value && `/${select.value}`}`);
    const select = h("select", { id: "which-door", "aria-label": t("history.door"), onchange: go }, h("option", { value: "" }, t("history.all_doors")), options);
    return select;
  }

  #day() {
    const day = h("input", { type: "date", id: "which-day", "aria-label": t("history.day"), max: dateValue(nowMs()) });
    day.addEventListener("change", () => void this.#goToDay(day.value));
    return day;
  }

  /** @param {Set<Kind>} kinds */
  #choose(kinds) {
    this.kinds = kinds;
    const query = [...kinds].map((kind) => `show=${kind}`).join("&");
    history.replaceState(null, "", `#/history${this.device ? `/${this.device}` : ""}${query && `?${query}`}`);
    scrollTo(0, 0);
    this.#draw();
  }

  /** Reads back to a day, and goes to it, or to the one before it with anything. @param {string} value */
  async #goToDay(value) {
    const [year, month, date] = value.split("-").map(Number);
    if (!year) return;
    const start = dayStart(new Date(year, month - 1, date).getTime());
    await this.#reading(() => this.household.loadBackTo(start));
    const days = [...this.list.sections].map(([at, { chunks }]) => ({ at, first: chunks[0].entries[0] }));
    const day = days.find(({ at }) => at < nextDay(start)) ?? days.at(-1);
    if (day !== undefined) this.list.node.querySelector(`[data-day="${day.at}"]`)?.scrollIntoView({ block: "start" });
  }

  async #readOlder() {
    if (this.isReading || !this.household.isLoaded || this.household.isComplete) return;
    await this.#reading(() => this.household.loadOlder(PAGE));
  }

  /** @param {() => Promise<void>} read */
  async #reading(read) {
    this.isReading = true;
    fill(this.foot, skeleton(2));
    try {
      await read();
      this.isReading = false;
      this.drawn = "";
      this.#drawSoon();
    } catch (error) {
      this.isReading = false;
      console.warn(error);
      const again = h("button", { id: "older", onclick: () => void this.#readOlder() }, t("error.again"));
      fill(this.foot, problem(error), again);
    }
  }

  #comeBack() {
    const id = opened;
    const entry = this.list.find(({ group }) => group.told.event.id === id);
    opened = "";
    if (entry === undefined || this.context.left.aborted) return;
    const row = this.list.show(entry);
    row?.querySelector("a")?.focus({ preventScroll: true });
  }

  /** @param {Day} day */
  #head(day) {
    const name = fullDayText(day.start);
    const go = (/** @type {Entry} */ entry) => void this.list.show(entry);
    const counts = h("p", { class: "muted" }, dayCounts(day));
    const line = new DayLine(day, name, entryWords, go);
    return {
      nodes: [h("div", { class: "day-name" }, h("h2", {}, name), counts), line.node],
      show: (/** @type {Day} */ now) => {
        fill(counts, dayCounts(now));
        line.show(now);
      },
    };
  }

  /** @param {Entry} entry */
  #row(entry) {
    const choice = choiceOf(entry.group, choicesOf(this.household));
    return entryRow(entry, { choice, door: this.#doorOf(entry), thumbs: this.thumbs, onOpen: () => (opened = entry.group.told.event.id) });
  }

  /** Its doorbell's name where there are several: it comes in a note, maybe after the event. @param {Entry} entry */
  #doorOf({ group }) {
    const { household, device } = this;
    const isOneOfMany = household.doorbells.length > 1 && device === undefined;
    return (isOneOfMany && household.doorbell(group.told.event.device)?.name) || "";
  }

  /** @param {Entry} entry */
  #mark(entry) {
    const { group, ms } = entry;
    const { keptBy, deleted } = choiceOf(group, this.choices);
    const pictured = group.told.has_thumbnail || group.others.some(({ has_thumbnail }) => has_thumbnail);
    return `${group.told.event.id}:${ms}:${group.clip?.event.id ?? ""}:${group.others.length}${pictured ? "p" : ""}${keptBy.length}${deleted ? "d" : ""}${this.#doorOf(entry)}`;
  }
}

/** A day as a date field has it, by this browser's time zone. @param {number} ms */
function dateValue(ms) {
  const date = new Date(ms);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}
