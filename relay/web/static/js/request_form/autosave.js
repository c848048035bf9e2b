/**
 * Autosave of the form as a draft, for this officer only, at each pause.
 * @module
 */
import { newId } from "../protocol/encoding.js";
import { post, t } from "../page.js";
import { readForm } from "./form.js";

const PAUSE_MS = 2000;

export class DraftAutosave {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  isOver = false;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.id = form.dataset.draft || newId();
    this.place = /** @type {HTMLElement} */ (document.getElementById("saved"));
    this.before = this.text();
    form.addEventListener("input", () => this.soon());
    form.addEventListener("change", () => this.soon());
  }

  soon() {
    clearTimeout(this.timer);
    if (!this.isOver) this.timer = setTimeout(() => void this.save(), PAUSE_MS);
  }

  /** No draft is kept any more of what is being handed in. */
  stop() {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  async save() {
    const text = this.text();
    if (text === this.before || this.isOver) return;
    try {
      await post("/agency/drafts", { id: this.id, form: JSON.parse(text) });
      this.before = text;
      const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short" });
      this.place.textContent = t("draft.saved", { time: clock.format(Date.now()) });
    } catch (error) {
      this.place.textContent = t("draft.failed", { message: error instanceof Error ? error.message : String(error) });
    }
  }

  text() {
    return JSON.stringify(readForm(this.form));
  }
}
