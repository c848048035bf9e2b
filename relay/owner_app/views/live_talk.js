/**
 * Controls of two-way audio: hold to talk, continuous talk, and listening.
 * @module
 */
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { Microphone, NoMicrophone } from "../microphone.js";

/** @typedef {import("../live_control.js").DoorState} DoorState */
/** @typedef {import("../live_control.js").LiveControl} LiveControl */
/** @typedef {"idle" | "asking" | "talking"} Talking */

const KEYS = [" ", "Enter"];

export class TalkPanel {
  /** @param {HTMLVideoElement} video whose sound is the door's */
  constructor(video) {
    this.video = video;
    /** @type {LiveControl | null} */
    this.control = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** @type {DoorState | null} */
    this.door = null;
    this.isHeld = false;
    this.isOpenLine = false;
    this.isListening = false;
    this.isAwaited = false;
    /** What went wrong last, in words. */
    this.trouble = "";
    /** @type {Talking} */
    this.talking = "idle";
    this.node = h("button", { class: "big primary talk", id: "talk", disabled: true, "aria-describedby": "talk-words" }, t("talk.hold"));
    this.line = h("button", { id: "open-line", disabled: true, "aria-pressed": "false" }, t("talk.open_line"));
    this.hear = h("button", { id: "listen", disabled: true, "aria-pressed": "false" }, t("talk.listen"));
    this.words = h("p", { class: "muted", role: "status", id: "talk-words" });
    this.line.addEventListener("click", () => this.#toggleLine());
    this.hear.addEventListener("click", () => this.toggleListening());
    this.#holdable(this.node);
  }

  /** By key; `hold` ones while it is down. */
  get shortcuts() {
    return {
      t: { words: "shortcut.talk", press: () => this.#hold(), release: () => this.#release() },
      l: { words: "shortcut.listen", press: () => this.toggleListening() },
    };
  }

  /** @param {import("../live.js").LiveSession} session @param {LiveControl} control */
  attach(session, control) {
    this.detach();
    this.control = control;
    this.microphone = session.sound && new Microphone(session.sound.sender);
  }

  detach() {
    this.microphone?.close();
    this.control = this.microphone = this.door = null;
    this.isHeld = this.isOpenLine = this.isListening = false;
    this.talking = "idle";
    this.trouble = "";
    this.video.muted = true;
    this.#draw();
  }

  /** @param {DoorState} state */
  show(state) {
    this.door = state;
    if (state.microphone !== "on" && this.isListening) this.#listen(false);
    this.#draw();
  }

  /** The doorbell said no. @param {string} reason @param {string} detail */
  failed(reason, detail) {
    const known = `talk.error.${reason}`;
    this.trouble = hasText(known) ? t(known) : detail;
    this.#silence();
  }

  /** As soon as one can talk, the keyboard can. */
  focus() {
    this.isAwaited = true;
    this.#draw();
  }

  toggleListening() {
    if (this.door?.microphone === "on") this.#listen(!this.isListening);
  }

  /** @param {boolean} isOn */
  #listen(isOn) {
    this.trouble = "";
    this.isListening = isOn;
    this.video.muted = !isOn;
    this.control?.listen(isOn);
    this.#draw();
  }

  #toggleLine() {
    this.isOpenLine = !this.isOpenLine;
    if (this.isOpenLine) this.#speak();
    else this.#silence();
  }

  #hold() {
    if (this.isHeld || this.isOpenLine || this.node.disabled) return;
    this.isHeld = true;
    this.#speak();
  }

  #release() {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.#silence();
  }

  async #speak() {
    const { microphone } = this;
    if (microphone === null) return;
    this.trouble = "";
    this.talking = microphone.isOpen ? "talking" : "asking";
    this.#draw();
    try {
      await microphone.speak();
    } catch (error) {
      console.warn(error);
      this.trouble = t(`talk.microphone.${error instanceof NoMicrophone ? error.reason : "missing"}`);
      return this.#silence();
    }
    if (this.microphone !== microphone) return;
    if (!this.isHeld && !this.isOpenLine) {
      this.trouble = t("talk.ready"); // let go while the browser asked
      return this.#draw();
    }
    this.talking = "talking";
    this.control?.talk(true, this.isOpenLine);
    this.#draw();
  }

  #silence() {
    const wasTalking = this.talking === "talking";
    this.isHeld = this.isOpenLine = false;
    this.talking = "idle";
    this.microphone?.hush();
    if (wasTalking) this.control?.talk(false, false);
    this.#draw();
  }

  #draw() {
    const { door, talking } = this;
    const isThere = door !== null && this.control !== null;
    const label = talking === "idle" ? "talk.hold" : `talk.${talking}`;
    this.node.disabled = !isThere || door.talk === "none";
    this.node.hidden = isThere && door.talk === "none"; // the words say why
    this.node.classList.toggle("on", talking === "talking");
    fill(this.node, t(label));
    this.line.disabled = !isThere || door.talk !== "open_line";
    this.line.hidden = isThere && this.line.disabled;
    this.line.setAttribute("aria-pressed", String(this.isOpenLine));
    fill(this.line, t(this.isOpenLine ? "talk.close_line" : "talk.open_line"));
    this.hear.disabled = door?.microphone !== "on";
    this.hear.hidden = isThere && this.hear.disabled;
    this.hear.setAttribute("aria-pressed", String(this.isListening));
    fill(this.hear, t(this.isListening ? "talk.stop_listening" : "talk.listen"));
    fill(this.words, this.#said());
    if (this.isAwaited && !this.node.disabled) {
      this.isAwaited = false;
      this.node.focus();
    }
  }

  #said() {
    const { door } = this;
    if (this.talking === "talking") return t(this.isOpenLine ? "talk.line_is_open" : "talk.heard");
    if (this.trouble) return this.trouble;
    if (door === null) return "";
    if (door.talker !== null) return t("talk.other", { name: door.talker });
    const hears = t(`talk.door_microphone.${this.isListening ? "heard" : door.microphone}`);
    return door.talk === "none" ? `${hears} ${t("talk.error.no_speaker")}` : hears;
  }

  /** @param {HTMLButtonElement} button */
  #holdable(button) {
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.#hold();
    });
    for (const over of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      button.addEventListener(over, () => this.#release());
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
    button.addEventListener("keydown", (event) => {
      if (!KEYS.includes(event.key)) return;
      event.preventDefault();
      if (!event.repeat) this.#hold();
    });
    button.addEventListener("keyup", (event) => {
      if (KEYS.includes(event.key)) this.#release();
    });
  }
}
