/**
 * Rows that lead on or hold a control: icon, title, value, chevron.
 * @module
 */
import { h } from "../dom.js";
import { icon } from "../icons.js";

/**
 * A row leads to `href`, does `onclick`, or holds a `control`.
 * @typedef {object} Row
 * @property {string} title
 * @property {string} [more] a line below the title
 * @property {string | Node} [value] how it is now
 * @property {import("../icons.js").IconName} [icon]
 * @property {string} [href]
 * @property {(event: Event) => void} [onclick]
 * @property {Node} [control] at the end of the row; with `for`, the title is its label
 * @property {string} [for] the control's id
 * @property {string} [id]
 */

/** @param {Row[]} all @param {Record<string, string>} [properties] of the list */
export function rows(all, properties = {}) {
  return h("ul", { class: "rows", ...properties }, all.map((row) => h("li", { class: "row" }, inside(row))));
}

/** @param {Row} row */
function inside(row) {
  const { id, href, onclick } = row;
  if (href !== undefined) return h("a", { id, href }, words(row), icon("chevron"));
  if (onclick !== undefined) return h("button", { id, type: "button", onclick }, words(row), icon("chevron"));
  const text = words(row);
  const label = row.for === undefined ? h("div", { id }, text) : h("label", { id, for: row.for }, text);
  return [label, row.control];
}

/** @param {Row} row */
function words({ title, more, value, icon: name }) {
  const lines = h("span", { class: "text" }, h("span", { class: "title" }, title), more && h("span", { class: "muted" }, more));
  return [name && icon(name), lines, value !== undefined && h("span", { class: "value" }, value)];
}
