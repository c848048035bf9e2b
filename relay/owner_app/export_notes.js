/**
 * Exports of everything, by the doorbells' sealed notes: which go on, and a note in words.
 * @module
 */
import { t } from "./i18n.js";

/** @typedef {import("./vendor/protocol/documents.js").ExportNow} ExportNow */
/** @typedef {{digest: string, by: string, browser: string, beganMs: number, untilMs: number}} OpenExport */

/**
 * The exports that began at a doorbell and haven't ended, as far as this browser was told.
 * @param {Pick<import("./household.js").Household, "notes">} household @param {string} device @param {number} nowMs
 * @returns {OpenExport[]} oldest first
 */
export function openExports({ notes }, device, nowMs) {
  /** @type {Map<string, OpenExport>} */
  const open = new Map();
  /** @type {Set<string>} */
  const ended = new Set();
  for (const { note, time_ms } of notes.values()) {
    const { body } = note;
    if (note.device !== device || body.type !== "export_now") continue;
    if (body.state !== "began") ended.add(body.export_digest);
    else open.set(body.export_digest, { digest: body.export_digest, by: body.by_name, browser: body.browser_name, beganMs: time_ms, untilMs: body.until_ms });
  }
  return [...open.values()].filter(({ digest, untilMs }) => !ended.has(digest) && untilMs > nowMs).sort((a, b) => a.beganMs - b.beganMs);
}

/** @param {ExportNow} body */
export function exportNoteText({ state, by_name, browser_name }) {
  return t(`export.note.${state}`, { name: by_name || t("export.somebody"), browser: browser_name || t("export.a_browser") });
}
