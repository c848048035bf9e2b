/**
 * The agency's templates and saved areas at the form: filled in, undone, and kept under a name.
 * @module
 */
import { make } from "../map/elements.js";
import { Refused, post, t } from "../page.js";
import { readForm } from "./form.js";

/** @typedef {import("../map/area.js").Area} Area */
/** @typedef {{kind: "template", text: string, incident_type: string, retention_days: number | null, onward_sharing: string}} Template */
/** @typedef {{kind: "area", cells: string[]}} SavedArea */
/** @typedef {Template | SavedArea} Content */

const FIELDS = /** @type {const} */ (["text", "incident_type", "retention_days", "onward_sharing"]);

/** @param {HTMLFormElement} form @param {Promise<Area>} area loaded once it is near the view */
export function openPresets(form, area) {
  if (document.getElementById("use-template") === null) return; // not for whoever isn't certified
  openKind("template", () => templateOf(form), (content) => fillIn(form, /** @type {Template} */ (content)));
  openKind("area", () => areaOf(form), (content) => choose(area, /** @type {SavedArea} */ (content)));
}

/**
 * @param {Content["kind"]} kind @param {() => Content} read what the form says now
 * @param {(content: Content) => Promise<{text: string, undo: () => void}> | {text: string, undo: () => void}} use
 */
function openKind(kind, read, use) {
  const [using, saving] = ["use", "save"].map((what) => /** @type {HTMLFormElement} */ (document.getElementById(`${what}-${kind}`)));
  const choice = /** @type {HTMLSelectElement} */ (document.getElementById(`chosen-${kind}`));
  const used = /** @type {HTMLElement} */ (document.getElementById(`used-${kind}`));
  const kept = /** @type {HTMLElement} */ (document.getElementById(`kept-${kind}`));
  const name = /** @type {HTMLInputElement} */ (document.getElementById(`${kind}-name`));
  onSubmit(using, used, async () => {
    const { content } = await load(choice.value);
    const { text, undo } = await use(content);
    const takeBack = () => {
      undo();
      used.replaceChildren();
    };
    used.replaceChildren(`${text} `, make("button", { type: "button", class: "quiet", onclick: takeBack }, t("preset.undo")));
  });
  onSubmit(saving, kept, async () => {
    const { id } = await post("/agency/presets", { name: name.value.trim(), content: read() });
    choice.append(make("option", { value: id }, name.value.trim()));
    /** @type {HTMLElement} */ (document.getElementById(`choose-${kind}`)).hidden = false;
    kept.textContent = t("preset.kept", { name: name.value.trim() });
    name.value = "";
  });
}

/** @param {HTMLFormElement} form @param {HTMLElement} status @param {() => Promise<void>} action */
function onSubmit(form, status, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    status.classList.remove("warn-text");
    try {
      await action();
    } catch (error) {
      status.textContent = error instanceof Error ? error.message : String(error);
      status.classList.add("warn-text");
    }
  });
}

/** @param {string} id @returns {Promise<{name: string, content: Content}>} */
async function load(id) {
  const response = await fetch(`/agency/presets/${id}`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (response === null) throw new Refused(t("offline"));
  if (!response.ok) throw new Refused(t("preset.gone"));
  return response.json();
}

/** @param {HTMLFormElement} form @returns {Template} */
function templateOf(form) {
  const { text, incident_type, retention_days, onward_sharing } = readForm(form);
  if (text === "") throw new Refused(t("preset.no_text"));
  return { kind: "template", text, incident_type, retention_days, onward_sharing };
}

/** @param {HTMLFormElement} form @returns {SavedArea} */
function areaOf(form) {
  const { cells } = readForm(form);
  if (cells.length === 0) throw new Refused(t("preset.no_area"));
  return { kind: "area", cells };
}

/** @param {HTMLFormElement} form @param {Template} content */
function fillIn(form, content) {
  const before = FIELDS.map((name) => fieldOf(form, name).value);
  set(form, FIELDS.map((name) => String(content[name] ?? "")));
  return { text: t("preset.filled_in"), undo: () => set(form, before) };
}

/** @param {HTMLFormElement} form @param {string[]} values */
function set(form, values) {
  FIELDS.forEach((name, index) => {
    const field = fieldOf(form, name);
    field.value = values[index] ?? "";
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  });
}

/** @param {HTMLFormElement} form @param {string} name */
function fieldOf(form, name) {
  return /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
}

/** @param {Promise<Area>} opened @param {SavedArea} content */
async function choose(opened, { cells }) {
  document.getElementById("area")?.scrollIntoView({ block: "nearest" }); // it is loaded when it is near
  const area = await opened;
  const before = [...area.chosen];
  const replace = (/** @type {string[]} */ all) => {
    area.clear();
    return area.add(all.filter((cell) => area.isCell(cell)));
  };
  const { outside, isTooMany } = replace(cells);
  if (isTooMany) {
    replace(before);
    throw new Refused(t("preset.too_many"));
  }
  const text = outside.length > 0 ? t("map.some_outside", { count: outside.length }) : t("preset.chosen");
  return { text, undo: () => void replace(before) };
}
