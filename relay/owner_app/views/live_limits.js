/**
 * The text on the networks from which live view works.
 * @module
 */
import { h } from "../dom.js";
import { t } from "../i18n.js";

/** @typedef {import("../live_prefetch.js").Reach} Reach */

const SAID = { stun_only: "live.stun_only", home_only: "live.home_only" };

/**
 * Says from where live view works, where that isn't everywhere.
 * @param {Reach | undefined} reach @param {boolean} [hasFailed]
 */
export function liveLimitNotice(reach, hasFailed = false) {
  if (reach === undefined || reach === "anywhere") return null;
  if (reach === "stun_only" && !hasFailed) return null; // it mostly works
  return h("p", { class: "muted", "data-reach": reach }, t(SAID[reach]));
}
