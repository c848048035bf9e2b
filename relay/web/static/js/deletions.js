/**
 * The page of deletion requests: chooses all of one evidence request, counts what is chosen, and
 * says what comes after the file. Without this module the same boxes are ticked one by one.
 * @module
 */
import { say, t } from "./page.js";

const draft = /** @type {HTMLFormElement} */ (document.getElementById("draft"));
const chosen = /** @type {HTMLElement} */ (document.getElementById("chosen"));

/** @param {ParentNode} within @returns {HTMLInputElement[]} */
function boxesIn(within) {
  return [...within.querySelectorAll("input[name=package]")].map((box) => /** @type {HTMLInputElement} */ (box));
}

/** Every group's box, and the count, say what is chosen now. */
function show() {
  for (const group of draft.querySelectorAll("fieldset[data-request]")) {
    const all = /** @type {HTMLInputElement | null} */ (group.querySelector("[data-all]"));
    if (all === null) continue;
    const boxes = boxesIn(group);
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  }
  const boxes = boxesIn(draft);
  const count = boxes.filter((box) => box.checked).length;
  chosen.textContent = t("deletions_chosen", { count, total: boxes.length });
}

draft.addEventListener("change", (event) => {
  const box = /** @type {HTMLInputElement} */ (event.target);
  const group = box.closest("fieldset[data-request]");
  if (group !== null && "all" in box.dataset) {
    for (const one of boxesIn(group)) one.checked = box.checked;
  }
  show();
});

draft.addEventListener("submit", () => {
  document.getElementById("problems")?.remove();
  for (const problem of draft.querySelectorAll("[data-problem]")) problem.remove();
  draft.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
  say(t("deletions_saved"));
});

for (const label of draft.querySelectorAll("label.all")) label.removeAttribute("hidden");
show();
