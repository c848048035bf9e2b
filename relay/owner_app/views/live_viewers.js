/**
 * The list of current viewers with their start times, and the prompt whether one is still
 * watching.
 * @module
 */
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";

/** @typedef {import("../live_control.js").DoorState} DoorState */
/** @typedef {import("../live_control.js").Watcher} Watcher */

/** So long before the end it is asked. */
const ASK_BEFORE_MS = 60_000;

export class ViewerList {
  constructor() {
    this.list = h("div", { id: "live-watching", role: "status" });
    this.question = h("div", { role: "alert" });
    this.endsMs = 0;
    this.timer = 0;
    this.shown = "";
    /** @type {import("../live_control.js").LiveControl | null} */
    this.control = null;
  }

  /** @param {import("../live_control.js").LiveControl} control */
  attach(control) {
    this.detach();
    this.control = control;
  }

  detach() {
    this.control = null;
    clearTimeout(this.timer);
    this.shown = "";
    fill(this.list);
    fill(this.question);
  }

  /** Tells whether the session's time is over, give or take. @param {number} withinMs */
  isNearEnd(withinMs) {
    return this.endsMs > 0 && this.endsMs - performance.now() < withinMs;
  }

  /** @param {DoorState} state */
  show({ ends_in_s, watching }) {
    this.endsMs = performance.now() + ends_in_s * 1000;
    clearTimeout(this.timer);
    fill(this.question);
    this.timer = setTimeout(() => this.#ask(), Math.max(0, ends_in_s * 1000 - ASK_BEFORE_MS));
    const shown = JSON.stringify(watching);
    if (shown === this.shown) return; // a screen reader needn't hear it again
    this.shown = shown;
    fill(this.list, watchers(watching));
  }

  #ask() {
    const stay = h("button", { class: "primary", id: "live-renew", onclick: () => this.#renew() }, t("live.renew"));
    fill(this.question, h("div", { class: "notice" }, h("p", {}, t("live.still_there")), stay));
  }

  #renew() {
    this.control?.renew();
    fill(this.question);
  }
}

/** @param {Watcher[]} watching */
function watchers(watching) {
  const others = watching.filter((one) => !one.is_you);
  if (others.length === 0) return h("p", { class: "muted" }, t("live.only_you"));
  return h(
    "ul",
    { class: "watching", "aria-label": t("live.watching") },
    watching.map((one) =>
      h(
        "li",
        {},
        h("strong", {}, one.is_you ? t("live.you") : one.name),
        h("span", { class: "muted" }, ` ${one.browser}, ${t("live.since")} `, time(one.since_ms, "clock")),
      ),
    ),
  );
}
