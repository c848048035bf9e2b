/**
 * The page on which a taken parcel is reported for the theft map: a place, a month, and one's own
 * reports, which can be taken back until their month is published.
 * @module
 */
import { ApiError } from "../api.js";
import { empty, segmented } from "../components/controls.js";
import { toast } from "../components/dialog.js";
import { fill, h, skeleton } from "../dom.js";
import { currentLocale, hasText, t, timeText } from "../i18n.js";
import { guarded, problem } from "./parts.js";
import { PlaceFinder } from "./place_finder.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{month: string, until_ms: number}} OpenMonth */
/** @typedef {{cell: string, month: string}} Report */
/** @typedef {{months: OpenMonth[], reports: Report[]}} OwnReports */

const RESOLUTION = 8;

/** @param {Context} context */
export function theftPage(context) {
  return {
    title: t("theft.title"),
    body: [
      h("p", { class: "back" }, h("a", { href: "#/neighbours" }, `‹ ${t("neighbours.title")}`)),
      h("p", { class: "lead" }, t("theft.lead")),
      new TheftReports(context).node,
      h("section", {}, h("h2", {}, t("theft.what_becomes")), h("ul", {}, ["theft.becomes.count", "theft.becomes.same", "theft.becomes.erased"].map((key) => h("li", {}, t(key))))),
      h("p", {}, h("a", { class: "button", id: "theft-map", href: `${context.relayUrl}/theft-map` }, t("theft.see_map"))),
    ],
  };
}

class TheftReports {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    /** What is chosen: nothing is reported without a place. */
    this.cell = "";
    this.month = "";
    this.form = h("div", {});
    this.said = h("div", { "aria-live": "polite" });
    this.heading = h("h2", { tabindex: -1 }, t("theft.own"));
    this.list = h("div", {}, skeleton(2));
    this.node = h("div", {}, this.form, this.said, h("section", { id: "own-thefts" }, this.heading, this.list));
    void this.#load();
  }

  async #load() {
    const { relay, left } = this.context;
    try {
      /** @type {OwnReports} */
      const found = await relay.get("theft-reports");
      if (left.aborted) return;
      if (!this.form.hasChildNodes()) this.#drawForm(found.months);
      await this.#drawList(found);
    } catch (error) {
      const again = h("button", { onclick: () => this.#load() }, t("error.again"));
      if (!left.aborted) fill(this.list, problem(error), again);
    }
  }

  /** @param {OpenMonth[]} months */
  #drawForm(months) {
    this.month = months[0].month;
    const finder = new PlaceFinder(this.context.left, (cell) => (this.cell = cell), {
      resolution: RESOLUTION,
      typed: "theft.place",
      find: "theft.find",
      found: "theft.found",
      stays: "theft.stays",
    });
    const options = months.map(({ month }) => ({ value: month, text: monthText(month) }));
    const choice =
      options.length > 1
        ? segmented({ name: "theft-month", legend: t("theft.month"), options, value: this.month, onchange: (month) => (this.month = month) })
        : h("p", { id: "theft-month" }, t("theft.only_month", { month: options[0].text }));
    const send = h("button", { type: "button", class: "primary", id: "theft-report", onclick: guarded(this.said, () => this.#report()) }, t("theft.report"));
    fill(this.form, finder.node, choice, h("div", { class: "actions" }, send));
  }

  async #report() {
    const { cell, month } = this;
    if (cell === "") {
      this.#problem("theft.no_place");
      document.getElementById("place-typed")?.focus();
      return;
    }
    if (!(await this.#isTaken(() => this.context.relay.post("theft-reports", { cell, month })))) return;
    toast(t("theft.reported"));
    await this.#load();
    this.heading.focus();
  }

  /** Whether the relay takes it; says why not. @param {() => Promise<unknown>} send */
  async #isTaken(send) {
    try {
      await send();
    } catch (error) {
      const known = error instanceof ApiError ? `theft.refused.${error.code}` : "";
      if (!hasText(known)) throw error;
      this.#problem(known);
      return false;
    }
    fill(this.said);
    return true;
  }

  /** @param {string} words */
  #problem(words) {
    fill(this.said, h("p", { class: "warn-text", id: "theft-problem", role: "alert" }, t(words)));
  }

  /** @param {OwnReports} found */
  async #drawList({ months, reports }) {
    if (reports.length === 0) return fill(this.list, empty(t("theft.none")));
    const { cellToLatLng } = await import("../vendor/h3.js");
    const until = new Map(months.map((one) => [one.month, one.until_ms]));
    const row = (/** @type {Report} */ { cell, month }) => {
      const where = cellToLatLng(cell).map((degrees) => degrees.toFixed(2)).join(", ");
      const ends = t("theft.until", { time: timeText(until.get(month) ?? 0, "day") });
      const label = t("theft.take_back_label", { month: monthText(month), place: where });
      return h(
        "li",
        { "data-testid": "theft-report", "data-cell": cell },
        h("div", { class: "grow" }, h("strong", {}, monthText(month)), h("p", { class: "muted" }, t("theft.around", { place: where })), h("p", { class: "muted" }, ends)),
        h("button", { type: "button", "aria-label": label, onclick: this.#takingBack(cell, month) }, t("theft.take_back")),
      );
    };
    fill(this.list, h("ul", { class: "rows", id: "theft-reports" }, reports.map(row)));
  }

  /** @param {string} cell @param {string} month */
  #takingBack(cell, month) {
    return guarded(this.said, async () => {
      if (!(await this.#isTaken(() => this.context.relay.delete(`theft-reports/${month}/${cell}`)))) return;
      toast(t("theft.taken_back"));
      await this.#load();
      this.heading.focus(); // the button is gone
    });
  }
}

/** @param {string} month as 2026-11 */
function monthText(month) {
  const format = new Intl.DateTimeFormat(currentLocale(), { month: "long", year: "numeric", timeZone: "UTC" });
  return format.format(new Date(`${month}-01T00:00:00Z`));
}
