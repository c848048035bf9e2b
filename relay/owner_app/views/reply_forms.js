/**
 * The two forms for a new quick reply: record one's own voice, or have a text spoken.
 * @module
 */
import { fill, h } from "../dom.js";
import { LANGUAGES, currentLanguage, t } from "../i18n.js";
import { NoMicrophone } from "../microphone.js";
import { LONGEST_MS, Recording } from "../recorder.js";

/** @typedef {import("./replies.js").Change} Change */

const MAX_NAME = 40;
const MAX_TEXT = 200;

export class RecordingForm {
  /** @param {Change} change @param {AbortSignal} left */
  constructor(change, left) {
    this.change = change;
    this.left = left;
    /** @type {Recording | null} */
    this.recording = null;
    this.url = "";
    this.place = h("div");
    this.node = h("section", { class: "card", id: "record-reply" }, h("h2", {}, t("sayings.record")), h("p", {}, t("sayings.record_lead")), this.place);
    left.addEventListener("abort", () => this.stop());
    this.#idle();
  }

  /** The microphone is given back, whatever is going on. */
  stop() {
    this.recording?.stop();
    this.#forget();
  }

  /** @param {string} [trouble] */
  #idle(trouble) {
    this.#forget();
    const begin = h("button", { class: "primary", id: "record", onclick: () => this.#record() }, t("sayings.begin"));
    fill(this.place, trouble && h("p", { class: "warning", role: "alert" }, trouble), h("div", { class: "actions" }, begin));
  }

  async #record() {
    const meter = h("meter", { min: 0, max: 1, value: 0, "aria-label": t("sayings.level") });
    const time = h("span", { class: "muted" }, t("sayings.seconds", { seconds: 0, most: LONGEST_MS / 1000 }));
    const stop = h("button", { class: "primary", id: "record-stop", disabled: true, onclick: () => this.recording?.stop() }, t("sayings.stop"));
    fill(this.place, h("p", { role: "status" }, t("talk.asking")));
    try {
      const recording = await Recording.begin((level, ms) => {
        meter.value = level;
        fill(time, t("sayings.seconds", { seconds: Math.floor(ms / 1000), most: LONGEST_MS / 1000 }));
      });
      if (this.left.aborted) return recording.stop();
      this.recording = recording;
      fill(this.place, h("p", { class: "state on", role: "status" }, t("sayings.recording_now")), h("p", {}, meter, " ", time), h("div", { class: "actions" }, stop));
      stop.disabled = false;
      stop.focus();
      const wav = await recording.wav();
      this.recording = null;
      if (!this.left.aborted) this.#recorded(wav);
    } catch (error) {
      console.warn(error);
      this.recording?.stop();
      this.recording = null;
      this.#idle(error instanceof NoMicrophone ? t(`talk.microphone.${error.reason}`) : t("sayings.error.recorder"));
    }
  }

  /** @param {Uint8Array<ArrayBuffer>} wav */
  #recorded(wav) {
    this.url = URL.createObjectURL(new Blob([wav], { type: "audio/wav" }));
    const name = h("input", { id: "reply-name", maxlength: MAX_NAME, required: true, autocomplete: "off" });
    const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": t("sayings.sending") });
    const keep = async (/** @type {Event} */ event) => {
      event.preventDefault();
      await busy(form, async () => {
        bar.hidden = false;
        const words = name.value.trim();
        const isKept = await this.change(
          (desk) => desk.addRecording(words, wav, (share) => (bar.value = share)),
          t("sayings.added", { name: words }),
        );
        bar.hidden = true;
        if (isKept) this.#idle();
      });
    };
    const form = h(
      "form",
      { onsubmit: keep },
      h("p", {}, t("sayings.listen_again")),
      h("audio", { src: this.url, controls: true, id: "listen-again", "aria-label": t("sayings.your_recording") }),
      h("label", { for: "reply-name" }, t("sayings.name")),
      name,
      h("p", { class: "hint" }, t("sayings.name_hint")),
      bar,
      h("div", { class: "actions" }, h("button", { class: "primary", id: "keep-recording" }, t("sayings.keep")), h("button", { type: "button", onclick: () => this.#record() }, t("sayings.record_again"))),
    );
    fill(this.place, form);
    name.focus();
  }

  #forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
  }
}

/** @param {Change} change */
export function textForm(change) {
  const text = h("textarea", { id: "reply-text", maxlength: MAX_TEXT, rows: 2, required: true });
  const language = h(
    "select",
    { id: "reply-language" },
    Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code, selected: code === currentLanguage() }, name)),
  );
  const keep = async (/** @type {Event} */ event) => {
    event.preventDefault();
    await busy(form, async () => {
      const words = text.value.trim().replace(/\s+/g, " ");
      const name = shortened(words);
      if (await change((desk) => desk.addText(name, words, language.value), t("sayings.added", { name }))) text.value = "";
    });
  };
  const form = h(
    "form",
    { class: "card", id: "speak-reply", onsubmit: keep },
    h("h2", {}, t("sayings.speak")),
    h("p", {}, t("sayings.speak_lead")),
    h("label", { for: text.id }, t("sayings.text")),
    text,
    h("label", { for: language.id }, t("sayings.language")),
    language,
    h("div", { class: "actions" }, h("button", { class: "primary", id: "keep-text" }, t("sayings.keep"))),
  );
  return form;
}

/** A text's first words, for a name. @param {string} text */
export function shortened(text) {
  if (text.length <= MAX_NAME) return text;
  const begin = [...text].slice(0, MAX_NAME - 1).join("");
  const lastSpace = begin.lastIndexOf(" ");
  return `${begin.slice(0, lastSpace > 0 ? lastSpace : undefined)}…`;
}

/** Runs something while a form's buttons rest. @param {HTMLFormElement} form @param {() => Promise<void>} work */
async function busy(form, work) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  form.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    form.removeAttribute("aria-busy");
    buttons.forEach((button) => (button.disabled = false));
  }
}
