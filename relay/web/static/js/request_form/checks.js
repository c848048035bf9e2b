/**
 * Problems of the form beside each field while it is written, checked by the relay with the
 * register's own rules. What is empty yet is told only when it is to be handed in.
 * @module
 */
import { Refused, post, t } from "../page.js";
import { readForm } from "./form.js";

/** @typedef {{field: string, reason: string, text: string}} Problem */
/** @typedef {{problems: Problem[], hints: {text: string}[]}} Checked */

const WAIT_MS = 700;
/** Where the reader is taken for a field. @type {Record<string, string>} */
const FOCUS = { cells: "place-search", form: "case_number" };

export class Checks {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  /** Only the newest answer counts. */
  asked = 0;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    /** @type {Set<string>} fields that somebody has been in */
    this.touched = new Set();
    form.addEventListener("change", (event) => this.touch(/** @type {HTMLInputElement} */ (event.target).name));
    form.addEventListener("input", () => this.soon());
  }

  /** @param {string} name */
  touch(name) {
    this.touched.add(name === "cell" ? "cells" : name);
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look().catch((error) => console.warn("check", error)), WAIT_MS);
  }

  /** Shows what is wrong with what was filled in. */
  async look() {
    const checked = await this.ask();
    if (checked !== null) this.show(checked, (problem) => problem.reason !== "missing" || this.touched.has(problem.field));
  }

  /** Shows everything, and throws the first thing that is wrong. */
  async insist() {
    clearTimeout(this.timer);
    const checked = await this.ask();
    if (checked === null) throw new Refused(t("changed"));
    this.show(checked, () => true);
    const [first] = checked.problems;
    if (first === undefined) return;
    const field = document.getElementById(FOCUS[first.field] ?? first.field);
    field?.closest("details")?.setAttribute("open", "");
    field?.focus();
    throw new Refused(first.field === "form" ? first.text : t("not_yet"));
  }

  /** @returns {Promise<Checked | null>} null if it was asked again meanwhile */
  async ask() {
    const number = ++this.asked;
    const checked = await post("/agency/requests/check", { form: readForm(this.form) });
    return number === this.asked ? checked : null;
  }

  /** @param {Checked} checked @param {(problem: Problem) => boolean} isShown */
  show({ problems, hints }, isShown) {
    const shown = problems.filter(isShown);
    for (const place of this.form.querySelectorAll("[data-problem]")) {
      const field = place.getAttribute("data-problem") ?? "";
      const text = shown.filter((one) => one.field === field).map((one) => one.text).join(" ");
      if (place.textContent !== text) place.textContent = text;
      const input = document.getElementById(field);
      if (text === "") input?.removeAttribute("aria-invalid");
      else input?.setAttribute("aria-invalid", "true");
    }
    const section = /** @type {HTMLElement} */ (document.getElementById("hints"));
    const list = /** @type {HTMLElement} */ (section.querySelector("ul"));
    section.hidden = hints.length === 0;
    list.replaceChildren(
      ...hints.map(({ text }) => {
        const item = document.createElement("li");
        item.textContent = text;
        return item;
      }),
    );
  }
}
