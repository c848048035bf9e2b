/**
 * What the feed's own refusals mean, and what to do about each.
 * @module
 */
import { ApiError } from "../api.js";
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { guarded } from "./parts.js";

/** Runs a button's action like `guarded`, and says what the feed refuses in its own words. @param {HTMLElement} place @param {() => Promise<void>} action */
export function feedGuarded(place, action) {
  return guarded(place, async () => {
    try {
      await action();
    } catch (error) {
      const known = error instanceof ApiError ? `neighbours.error.${error.code}` : "";
      if (!hasText(known)) throw error;
      fill(place, h("div", { class: "warning", role: "alert", id: "feed-refused" }, h("p", {}, t(known))));
    }
  });
}
