/**
 * Small controls: a switch, one of a few, chips that filter; and what stands where there is nothing.
 * @module
 */
import { h } from "../dom.js";
import { icon } from "../icons.js";

/**
 * A checkbox that looks like a switch; what it switches stands beside it, as its label.
 * @param {{id: string, isOn: boolean, onchange?: (isOn: boolean) => void, isOff?: boolean, about?: string}} how `isOff`: can't be switched
 */
export function switchBox({ id, isOn, onchange, isOff = false, about }) {
  const box = h("input", { type: "checkbox", role: "switch", class: "switch", id, checked: isOn, disabled: isOff, "aria-describedby": about });
  box.addEventListener("change", () => onchange?.(box.checked));
  return box;
}

/**
 * One of two to four.
 * @param {{name: string, legend: string, options: {value: string, text: string}[], value: string, onchange?: (value: string) => void}} how
 */
export function segmented({ name, legend, options, value, onchange }) {
  const choices = options.map((one) => {
    const input = h("input", { type: "radio", name, value: one.value, checked: one.value === value, onchange: () => onchange?.(one.value) });
    return h("label", {}, input, one.text);
  });
  return h("fieldset", { class: "segmented" }, h("legend", {}, legend), choices);
}

/**
 * Chips, of which any may be pressed.
 * @param {{id: string, text: string, isOn: boolean}[]} all @param {(id: string, isOn: boolean) => void} onchange @param {string} label
 */
export function chips(all, onchange, label) {
  const buttons = all.map(({ id, text, isOn }) => {
    const chip = h("button", { type: "button", class: "chip", id, "aria-pressed": String(isOn) }, text);
    chip.addEventListener("click", () => {
      const is = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", String(is));
      onchange(id, is);
    });
    return h("li", {}, chip);
  });
  return h("ul", { class: "chips", "aria-label": label }, buttons);
}

/**
 * What stands where there is nothing yet: what will come, and what one can do.
 * @param {string} text @param {{icon?: import("../icons.js").IconName, action?: Node}} [more]
 */
export function empty(text, { icon: name, action } = {}) {
  return h("div", { class: "empty" }, name && icon(name), h("p", {}, text), action);
}

/** A figure and what it counts. @param {string} figure @param {string} words */
export function stat(figure, words) {
  return h("p", { class: "stat" }, h("strong", {}, figure), h("span", {}, words));
}

/** How far something is. @param {number} part from 0 to 1 @param {string} words */
export function progress(part, words) {
  const bar = h("progress", { max: 1, value: part, "aria-label": words });
  return h("div", { class: "progress" }, bar, h("p", { class: "muted", role: "status" }, words));
}
