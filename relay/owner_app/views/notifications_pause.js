/**
 * The pause of rings and movements at this browser.
 * @module
 */
import { fill, h } from "../dom.js";
import { t, timeText } from "../i18n.js";
import { snooze } from "../push.js";
import { readPush } from "../worker_store.js";
import { guarded } from "./parts.js";

/** @typedef {import("../push.js").PushParties} PushParties */
/** @typedef {import("../worker_store.js").PushState} PushState */

/** @type {[number, string][]} */
const CHOICES = [
  [30, "push.snooze_half"],
  [60, "push.snooze_hour"],
  [240, "push.snooze_four"],
];

/** @param {PushParties} parties @param {PushState} state */
export function pauseSection(parties, state) {
  const problems = h("div", { "aria-live": "polite" });
  const place = h("div");
  const set = (/** @type {number} */ minutes) =>
    guarded(problems, async () => {
      await snooze(parties, minutes);
      draw(await readPush(parties.relayUrl), minutes === 0);
    });
  /** @param {PushState | undefined} now @param {boolean} [hasEnded] */
  const draw = (now, hasEnded) => {
    const untilMs = Math.max(0, ...Object.values(now?.snoozed ?? {}));
    const isPaused = untilMs > Date.now();
    const said = isPaused ? t("push.snoozed_until", { time: timeText(untilMs, "clock") }) : hasEnded && t("push.snooze_ended");
    const buttons = CHOICES.map(([minutes, key]) => h("button", { type: "button", id: `push-pause-${minutes}`, onclick: set(minutes) }, t(key)));
    const end = h("button", { type: "button", id: "push-pause-end", onclick: set(0) }, t("push.snooze_end"));
    fill(
      place,
      said && h("p", { class: "notice", role: "status", id: "push-paused" }, said),
      h("div", { class: "actions" }, isPaused ? end : buttons),
    );
  };
  draw(state);
  return h("section", { id: "push-pause" }, h("h2", {}, t("push.snooze_now")), place, problems, h("p", { class: "hint" }, t("push.snooze_help")));
}
