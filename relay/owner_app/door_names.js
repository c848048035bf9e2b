/**
 * Doorbells' names. A name is its owners': it stands in their preferences, which the doorbell keeps and
 * tells in sealed notes. The relay knows none. Until there is one, the last four characters of the
 * doorbell's id tell doorbells apart.
 * @module
 */
import { t } from "./i18n.js";

/** @typedef {import("./household.js").OpenedNote} OpenedNote */

const SHOWN_CHARS = 4;

/** @param {string} device */
function unnamed(device) {
  return t("door.unnamed", { last: device.slice(-SHOWN_CHARS) });
}

/** Returns a doorbell's name by its newest preferences. @param {Iterable<OpenedNote>} notes @param {string} device */
export function nameOf(notes, device) {
  let [name, newest] = ["", -1];
  for (const { note } of notes) {
    const { body } = note;
    if (note.device !== device || body.type !== "preferences_now") continue;
    if (note.told_ms >= newest) [name, newest] = [body.preferences.name ?? "", note.told_ms];
  }
  return name || unnamed(device);
}
