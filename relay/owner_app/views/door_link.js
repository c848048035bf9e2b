/**
 * A link past the lock of the door number, which the doorbell sends to this browser on demand.
 *
 * It leads to the doorbell's own page on the home network, counts once, and is nothing without the
 * number: whoever else holds this browser gets five tries, which count towards the fifty.
 * @module
 */
import { thisBrowser } from "../account.js";
import { fill, h } from "../dom.js";
import { t, time, timeWithin } from "../i18n.js";
import { sendOrder } from "../orders.js";
import { isOwnStatement, trustedKeys } from "../trust.js";
import { guarded } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../vendor/protocol/documents.js").DoorLink} DoorLink */
/** @typedef {import("../vendor/protocol/documents.js").DoorLocked} DoorLocked */

/** The button that asks for a link, and the link. @param {Context} context @param {Doorbell} doorbell */
export function doorLink(context, doorbell) {
  const { relay, household, left } = context;
  const { device } = doorbell;
  const place = h("div", { "aria-live": "polite" });
  /** The notes that were here before it was asked. @type {Set<string> | null} null: nobody asked */
  let before = null;
  const ask = guarded(place, async () => {
    const { sealing_key } = trustedKeys(household, device);
    const known = { device, name: doorbell.name, identity_key: doorbell.identity_key, sealing_key, is_own_word: isOwnStatement(device) };
    before = new Set(household.notes.keys());
    await sendOrder(relay, await thisBrowser(household.owner), known, { type: "want_door_link" });
    if (place.childElementCount === 0) fill(place, h("p", { role: "status" }, t("door_link.waiting")));
  });
  const draw = () => {
    const link = before && newest(context, device, before);
    if (link) fill(place, shown(link));
  };
  household.addEventListener("change", draw, { signal: left });
  return h(
    "section",
    { id: "door-link" },
    h("h3", {}, t("door_link.title")),
    h("p", {}, t("door_link.why")),
    h("div", { class: "actions" }, h("button", { id: "want-door-link", onclick: ask }, t("door_link.ask"))),
    place,
  );
}

/** Says that the door number is locked, and until when. @param {DoorLocked} body */
export function lockedText({ wrong_total, needs_button, until_ms }) {
  const tried = t("settings.door_tried", { count: wrong_total });
  const other = t("settings.door_other");
  if (needs_button) return `${tried} ${t("settings.door_locked_button")} ${other}`;
  const locked = until_ms === null ? t("settings.door_locked") : t("settings.door_locked_until", { until: timeWithin(until_ms) });
  return `${tried} ${locked} ${other}`;
}

/**
 * The link that came last of those that came since it was asked for here.
 * @param {Context} context @param {string} device @param {Set<string>} before
 * @returns {DoorLink | null}
 */
function newest({ household }, device, before) {
  /** @type {[number, DoorLink] | null} */
  let found = null;
  for (const [id, { note, time_ms }] of household.notes) {
    if (before.has(id) || note.device !== device || note.body.type !== "door_link") continue;
    if (found === null || time_ms >= found[0]) found = [time_ms, note.body];
  }
  return found === null ? null : found[1];
}

/** @param {DoorLink} link */
function shown({ url, until_ms, refused }) {
  if (!url.startsWith("http://") && !url.startsWith("https://")) {
    return h("p", { class: "notice", id: "no-door-link", role: "status" }, t(refused === "unlocked" ? "door_link.unlocked" : "door_link.refused"));
  }
  return [
    h("p", { role: "status" }, t("door_link.here"), " ", until_ms === null ? "" : h("span", { class: "muted" }, t("door_link.until"), " ", time(until_ms))),
    h("p", {}, h("a", { class: "button", id: "open-door-link", href: url, rel: "noreferrer" }, t("door_link.open"))),
  ];
}
