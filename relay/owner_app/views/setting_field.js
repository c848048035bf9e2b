/**
 * One setting's control, with its label and what it means.
 * @module
 */
import { switchBox } from "../components/controls.js";
import { h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { valueText } from "../setting_fields.js";
import { contactBytes } from "../vendor/protocol/door_notices.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";

/** @typedef {import("../setting_fields.js").Field} Field */
/** @typedef {import("../setting_fields.js").PreferenceKey} PreferenceKey */
/** @typedef {import("../vendor/protocol/documents.js").SettingKey} SettingKey */
/** @typedef {SettingKey | PreferenceKey} Key */

const CELL = /^(89[0-9a-f]{13})?$/;

/**
 * @param {{key: Key, field: Field, value: unknown, onchange: (value: unknown) => void, most?: number}} how `value` undefined: unknown here; `most`: what this doorbell can
 */
export function settingField({ key, field, value, onchange, most }) {
  const id = `setting-${key.replaceAll("_", "-")}`;
  const about = `${id}-about`;
  const control = controlOf({ id, about, key, field, value, onchange, most });
  const help = hasText(`setting.${key}.help`) && h("p", { class: "hint", id: about }, t(`setting.${key}.help`));
  const unknown = value === undefined && h("p", { class: "hint" }, t("setting.unknown"));
  const label = h("label", { for: id }, t(`setting.${key}`));
  if (field.kind === "switch") return h("div", { class: "setting" }, h("div", { class: "setting-line" }, label, control), help, unknown);
  return h("div", { class: "setting" }, label, control, help, unknown);
}

/** @param {{id: string, about: string, key: Key, field: Field, value: unknown, onchange: (value: unknown) => void, most?: number}} how */
function controlOf({ id, about, key, field, value, onchange, most }) {
  const described = { id, "aria-describedby": about };
  if (field.kind === "switch") return switchBox({ id, isOn: value === true, onchange, about });
  if (field.kind === "range") return range(key, field, described, value, onchange, most);
  if (field.kind === "choice") return choice(key, field, described, value, onchange);
  return text(key, field, described, value, onchange);
}

/** @param {Key} key @param {{from: number, to: number, step: number}} field @param {Record<string, string>} described @param {unknown} value @param {(value: unknown) => void} onchange @param {number} [most] */
function range(key, { from, to, step }, described, value, onchange, most = to) {
  const now = typeof value === "number" ? value : from;
  const shown = h("output", { for: described.id }, value === undefined ? "–" : valueText(key, now));
  const input = h("input", { type: "range", min: from, max: Math.min(to, most), step, value: now, "aria-valuetext": valueText(key, now), ...described });
  input.addEventListener("input", () => {
    const words = valueText(key, Number(input.value));
    shown.textContent = words;
    input.setAttribute("aria-valuetext", words);
    onchange(Number(input.value));
  });
  return h("div", { class: "setting-range" }, input, shown);
}

/** @param {Key} key @param {{of: (string | number)[]}} field @param {Record<string, string>} described @param {unknown} value @param {(value: unknown) => void} onchange */
function choice(key, { of }, described, value, onchange) {
  const now = /** @type {string | number | undefined} */ (value);
  const all = now === undefined || of.includes(now) ? of : [...of, now].toSorted((a, b) => Number(a) - Number(b));
  const options = all.map((one) => h("option", { value: one, selected: one === now }, valueText(key, one)));
  const select = h("select", described, now === undefined && h("option", { value: "", selected: true, disabled: true }, t("setting.choose")), options);
  select.addEventListener("change", () => onchange(all.find((one) => String(one) === select.value)));
  return select;
}

/** @param {Key} key @param {Field} field @param {Record<string, string>} described @param {unknown} value @param {(value: unknown) => void} onchange */
function text(key, field, described, value, onchange) {
  const wrong = h("p", { class: "warn-text", role: "alert" });
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: value ?? "", ...described });
  input.addEventListener("input", () => {
    const written = field.kind === "cell" ? input.value.trim().toLowerCase() : withoutMisleading(input.value).trim();
    const problem = wrongText(field, written);
    wrong.textContent = problem;
    input.setAttribute("aria-invalid", String(problem !== ""));
    input.setCustomValidity(problem);
    if (problem === "") onchange(written);
  });
  return h("div", {}, input, wrong);
}

/** Says that a text is too long, "" if it isn't; an emoji is one character. @param {string} written @param {number} most characters */
export function tooLongText(written, most) {
  const { length } = [...written];
  return length > most ? t("setting.too_long", { count: length, most }) : "";
}

/** Says what is wrong with a text, "" if nothing is. @param {Field} field @param {string} written */
function wrongText(field, written) {
  if (field.kind === "text") {
    const isTooLarge = field.bytes !== undefined && contactBytes(written) > field.bytes;
    return tooLongText(written, field.most) || (isTooLarge ? t("setting.too_many_bytes") : "");
  }
  if (field.kind === "cell" && !CELL.test(written)) return t("setting.no_cell");
  return "";
}
