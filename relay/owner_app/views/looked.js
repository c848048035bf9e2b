/**
 * Who watched live and when, by the doorbells' sealed notes: all that this browser was told and kept.
 * @module
 */
import { h } from "../dom.js";
import { t, time } from "../i18n.js";
import { living } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").WatchingBegan} WatchingBegan */
/** @typedef {import("../vendor/protocol/documents.js").WatchingEnded} WatchingEnded */
/** @typedef {{device: string, began: WatchingBegan, ended: WatchingEnded | undefined}} Look */

const SHOWN = 100;

/**
 * The live views that were told of, newest first.
 * @param {Pick<import("../household.js").Household, "notes">} household @returns {Look[]}
 */
export function looksIn({ notes }) {
  /** @type {Look[]} */
  const looks = [];
  /** @type {Map<string, WatchingEnded>} */
  const ends = new Map();
  for (const { note } of notes.values()) if (note.body.type === "watching_ended") ends.set(`${note.device} ${note.body.session_id}`, note.body);
  for (const { note } of notes.values()) {
    const { device, body } = note;
    if (body.type === "watching_began") looks.push({ device, began: body, ended: ends.get(`${device} ${body.session_id}`) });
  }
  return looks.sort((a, b) => b.began.at_ms - a.began.at_ms);
}

/** @param {Context} context */
export function lookedSection(context) {
  const { household } = context;
  const list = living(context, () => {
    const looks = looksIn(household).slice(0, SHOWN);
    if (looks.length === 0) return [h("p", { class: "empty" }, t("looked.nobody"))];
    return [h("ul", { class: "rows", id: "looked" }, looks.map((look) => row(context, look)))];
  });
  return h("section", {}, h("p", { class: "lead" }, t("looked.lead")), list, h("p", { class: "muted" }, t("looked.kept")));
}

/** @param {Context} context @param {Look} look */
function row({ household }, { device, began, ended }) {
  const { name, browser_name, holder, at_ms } = began;
  const door = household.doorbells.length > 1 ? `${household.doorbell(device)?.name ?? ""} · ` : "";
  const which = holder === "owner" ? browser_name : t(`looked.${holder}`);
  return h(
    "li",
    { "data-testid": "look" },
    h("div", { class: "grow" }, h("strong", {}, name), h("p", { class: "muted" }, door, which, ended?.has_talked && ` · ${t("looked.talked")}`)),
    h("span", { class: "muted" }, time(at_ms), ended ? [" – ", time(ended.at_ms, "clock")] : ` · ${t("looked.no_end")}`),
  );
}
