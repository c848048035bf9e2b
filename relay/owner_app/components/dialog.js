/**
 * Dialogs over the page, which come from the foot of a phone; and toasts, which say that something
 * is done.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";

/** @typedef {{text: string, value: string, kind?: "primary" | "danger"}} DialogButton */

/** As long as two lines are read. */
const TOAST_MS = 8000;

/**
 * Opens a dialog; Escape and a press beside it close it with "". The focus goes back to where it was.
 * @param {{title: string, body?: import("../dom.js").Child, buttons?: DialogButton[], id?: string}} content
 * @returns {{node: HTMLDialogElement, closed: Promise<string>}} `closed` tells the pressed button's value
 */
export function dialog({ title, body, buttons = [], id = "dialog" }) {
  const heading = h("h2", { id: `${id}-title` }, title);
  const close = (/** @type {string} */ value) => node.close(value);
  const all = buttons.map(({ text, value, kind }) => h("button", { type: "button", class: kind, value, onclick: () => close(value) }, text));
  const node = h("dialog", { class: "sheet", id, "aria-labelledby": heading.id }, heading, body, all.length > 0 && h("div", { class: "actions" }, all));
  node.addEventListener("click", ({ target }) => target === node && close(""));
  const closed = new Promise((/** @type {(value: string) => void} */ tell) => {
    node.addEventListener("close", () => {
      node.remove();
      tell(node.returnValue);
    });
  });
  // Whoever goes on to another page has left the question behind.
  addEventListener("hashchange", () => node.open && close(""), { once: true });
  document.body.append(node);
  node.showModal();
  return { node, closed };
}

/**
 * Asks before what can't be undone, with both answers in equal weight.
 * @param {{title: string, body?: import("../dom.js").Child, yes: string, no: string, isDangerous?: boolean, id?: string}} question
 */
export async function confirmSheet({ title, body, yes, no, isDangerous = false, id = "confirm" }) {
  const buttons = [
    { text: yes, value: "yes", kind: isDangerous ? /** @type {const} */ ("danger") : undefined },
    { text: no, value: "no" },
  ];
  return (await dialog({ title, body, buttons, id }).closed) === "yes";
}

/**
 * Says that something is done; the next one takes its place. What must not be missed stands on the page.
 * @param {string} text @param {{label: string, onclick: () => void}} [action] such as undoing it
 */
export function toast(text, action) {
  const place = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  const node = h("div", { class: "toast" }, h("span", {}, text));
  const away = () => node.remove();
  if (action !== undefined) {
    const act = () => {
      away();
      action.onclick();
    };
    node.append(h("button", { type: "button", onclick: act }, action.label));
  }
  node.append(h("button", { type: "button", onclick: away }, t("banner.close")));
  fill(place, node);
  let timer = setTimeout(away, TOAST_MS);
  const stay = () => clearTimeout(timer);
  const leave = () => {
    stay();
    timer = setTimeout(away, TOAST_MS);
  };
  for (const type of ["mouseenter", "focusin"]) node.addEventListener(type, stay);
  for (const type of ["mouseleave", "focusout"]) node.addEventListener(type, leave);
}
