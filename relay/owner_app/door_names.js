/**
 * Doorbells' names. A name is its owners': it stands in their settings, which the doorbell keeps and
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

/** Returns a doorbell's name by its newest settings. @param {Iterable<OpenedNote>} notes @param {string} device */
export function nameOf(notes, device) {
  let [name, newest] = ["", -1];
  for (const { note } of notes) {
    const { body } = note;
    if (note.device !== device || body.type !== "settings_now") continue;
    const revision = body.settings?.revision ?? 0;
    if (revision >= newest) [name, newest] = [body.settings?.name ?? "", revision];
  }
  return name || unnamed(device);
}
