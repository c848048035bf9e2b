/**
 * The notice of an emergency request: shown once, with a sound of its own (calm_sound.js). It is
 * loaded when a doorbell has told of one.
 * @module
 */
import { isFirstTime } from "./account.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { nowMs } from "./town_time.js";

/** @typedef {import("./decision_notes.js").Match} Match */

/** One that was told longer ago is read in the list, and not called for. */
const FRESH_MS = 3600 * 1000;

/** Tells of those that a doorbell just told of. @param {Match[]} matches @param {HTMLElement} place */
export function showEmergencies(matches, place) {
  for (const match of newEmergencies(matches)) tell(match, place);
}

/** Those that are to be called for, each at most once in this browser. @param {Match[]} matches */
export function newEmergencies(matches) {
  const isNow = (/** @type {Match} */ match) => match.is_emergency && nowMs() - match.told_ms < FRESH_MS;
  return matches.filter((match) => isNow(match) && isFirstTime(match.request_digest));
}

/** It may be ignored like any other. @param {Match} match @param {HTMLElement} place */
function tell({ request_id, agency_name, is_example }, place) {
  const link = h("a", { href: `#/requests/${request_id}` }, t("requests.read"));
  const close = h("button", { class: "quiet", onclick: () => fill(place) }, t("banner.close"));
  fill(place, h("div", { class: "banner asked", id: "emergency-asked" }, is_example && `${t("requests.example")}: `, t("banner.emergency", { agency: agency_name }), " ", link, close));
  import("./calm_sound.js").then(({ playCalmly }) => playCalmly()).catch((error) => console.warn("no sound", error));
}
