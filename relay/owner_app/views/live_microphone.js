/**
 * The button that turns the door's microphone off for all viewers. Turning it on lets more be
 * heard, so that is done at the doorbell's own page with the door number; the doorbell refuses it
 * from here.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";

/** @typedef {import("../live_control.js").DoorState} DoorState */
/** @typedef {import("../live_control.js").LiveControl} LiveControl */

export class DoorMicrophone {
  constructor() {
    /** @type {LiveControl | null} */
    this.control = null;
    this.place = h("div");
    this.words = h("p", { class: "muted", role: "status" });
    this.node = h("div", { id: "door-microphone" }, this.place, this.words);
    this.isShown = false;
  }

  /** @param {LiveControl} control */
  attach(control) {
    this.control = control;
  }

  detach() {
    this.control = null;
    this.#show(false);
  }

  /** @param {DoorState} state */
  show({ microphone }) {
    if (microphone === "off" && this.isShown) fill(this.words, t("microphone.is_off"));
    this.#show(microphone === "on");
  }

  /** @param {boolean} isOn */
  #show(isOn) {
    if (isOn === this.isShown) return;
    this.isShown = isOn;
    if (isOn) {
      fill(this.words);
      this.#offer();
    } else fill(this.place);
  }

  #offer() {
    fill(this.place, h("button", { class: "quiet", id: "microphone-off", onclick: () => this.#ask() }, t("microphone.turn_off")));
  }

  #ask() {
    const yes = h("button", { id: "microphone-off-yes", onclick: () => this.control?.turnMicrophoneOff() }, t("microphone.turn_off_yes"));
    const no = h("button", { class: "quiet", onclick: () => this.#offer() }, t("microphone.turn_off_no"));
    fill(this.place, h("p", {}, t("microphone.turn_off_ask")), h("div", { class: "actions" }, yes, no));
    yes.focus();
  }
}
