/**
 * Shared parts of pages: problem texts, and redrawing on change.
 * @module
 */
import { ApiError, Unreachable } from "../api.js";
import { ClipError } from "../clip_error.js";
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { NoSession } from "../live_errors.js";
import { KeysDiffer } from "../trust.js";
import { WireError } from "../vendor/protocol/encoding.js";

/** @typedef {import("../app.js").Context} Context */

const CLICK_MS = 100;
/** Errors of code that not every page has, by their names. @type {Record<string, string>} */
const KNOWN_BY_NAME = { PasskeyDeclined: "error.passkey", NotOwnPasskey: "error.not_own_passkey" };

/** Says what went wrong and what to do. @param {unknown} error */
export function problem(error) {
  return h("div", { class: "warning", role: "alert" }, h("p", {}, problemText(error)));
}

/** @param {unknown} error */
function problemText(error) {
  if (error instanceof Unreachable) return t("error.unreachable");
  if (error instanceof KeysDiffer) return t("error.keys_differ");
  if (error instanceof Error && Object.hasOwn(KNOWN_BY_NAME, error.name)) return t(KNOWN_BY_NAME[error.name]);
  if (error instanceof ClipError) return clipProblem(error);
  if (error instanceof NoSession) return t("live.refused.no_h264");
  if (error instanceof WireError) return t("error.wire", { detail: error.message });
  if (error instanceof ApiError) {
    const known = `error.code.${error.code}`;
    if (hasText(known)) return t(known);
    return t("error.relay", { detail: error.message });
  }
  return t("error.unknown", { detail: String(error) });
}

/** @param {ClipError} error */
function clipProblem({ reason, cause }) {
  const known = cause instanceof ApiError ? `live.refused.${cause.code}` : "";
  return hasText(known) ? t(known) : t(`clip.error.${reason}`);
}

/** Says why there is no picture. @param {import("../vendor/protocol/documents.js").CameraState} state */
export function noPicture(state) {
  return t("event.no_picture", { why: t(`camera.${state}`) });
}

/**
 * Says in our own words what began or is over: troubles come unsigned, so no word of theirs is shown.
 * @param {import("../vendor/protocol/documents.js").DoorbellEvent} event
 */
export function troubleText({ body }) {
  if (body.type !== "trouble") return "";
  const key = `trouble.${body.code}${body.is_over ? ".over" : ""}`;
  return t(hasText(key) ? key : `trouble.unknown${body.is_over ? ".over" : ""}`);
}

/**
 * Says what helps against what began; nothing where nothing does, or we have no words.
 * @param {import("../vendor/protocol/documents.js").DoorbellEvent} event
 */
export function troubleHelp({ body }) {
  const key = body.type === "trouble" ? `trouble.${body.code}.help` : "";
  return hasText(key) ? t(key) : "";
}

/**
 * Waits until the relay has told how things are; what was kept from before does where it can't be
 * reached. @param {import("../household.js").Household} household
 */
export async function known(household) {
  if (household.isLoaded && household.asOfMs === 0) return;
  try {
    await household.load();
  } catch (error) {
    if (!household.isLoaded) throw error;
  }
}

/** Which folded parts of a page are open: the page is redrawn at every change, and they stay so. */
export class Folds {
  constructor() {
    /** @type {Set<string>} */
    this.open = new Set();
  }

  /**
   * Returns a part that opens; its content is made when it is open.
   * @param {string} id @param {string} words @param {() => Node} content
   */
  fold(id, words, content) {
    const inside = h("div", {}, this.open.has(id) && content());
    const onclick = () => {
      if (this.open.delete(id)) return;
      this.open.add(id);
      fill(inside, content());
    };
    return h("details", { open: this.open.has(id) }, h("summary", { id, onclick }, words), inside);
  }
}

/**
 * Draws now and whenever the household or the contact to it changes, until the reader leaves; not
 * under a finger. What was scrolled sideways, and where the focus was, stay.
 * @param {Pick<Context, "household" | "left">} context
 * @param {(redraw: () => void) => (Node | false | null | Node[])[]} content
 * @param {number} [everyMs] as well, for what says how long ago something was
 */
export function living({ household, left }, content, everyMs = 0) {
  const place = h("div");
  const redraw = () => {
    const focused = document.activeElement?.id;
    const scrolled = [...place.querySelectorAll("[id]")].filter(({ scrollLeft }) => scrollLeft > 0).map(({ id, scrollLeft }) => ({ id, scrollLeft }));
    fill(place, content(redraw));
    for (const { id, scrollLeft } of scrolled) document.getElementById(id)?.scrollTo({ left: scrollLeft, behavior: "instant" });
    if (focused && place.querySelector(`#${CSS.escape(focused)}`)) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
  };
  let isPressed = false;
  const look = () => isPressed || left.aborted || redraw();
  const release = () => isPressed && setTimeout(() => ((isPressed = false), look()), CLICK_MS);
  redraw();
  place.addEventListener("pointerdown", () => (isPressed = true));
  addEventListener("pointerup", release, { signal: left });
  addEventListener("pointercancel", release, { signal: left });
  addEventListener("contextmenu", release, { signal: left });
  household.addEventListener("change", look, { signal: left });
  household.addEventListener("contact", look, { signal: left });
  if (everyMs > 0) {
    const timer = setInterval(look, everyMs);
    left.addEventListener("abort", () => clearInterval(timer));
  }
  return place;
}

/**
 * Runs a button's action: once at a time, with problems shown in `place`.
 * @param {HTMLElement} place
 * @param {() => Promise<void>} action
 */
export function guarded(place, action) {
  return async (/** @type {Event} */ event) => {
    event.preventDefault();
    const target = /** @type {HTMLElement} */ (event.currentTarget);
    const buttons = target.matches("form") ? [...target.querySelectorAll("button")] : [target];
    buttons.forEach((button) => button.setAttribute("disabled", ""));
    fill(place);
    try {
      await action();
    } catch (error) {
      console.warn(error);
      fill(place, problem(error));
    }
    buttons.forEach((button) => button.removeAttribute("disabled"));
  };
}

/** Terms and what they say, as a letter has them. @param {[string, string | Node][]} rows */
export function terms(rows) {
  const pairs = rows.map(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]);
  return h("dl", { class: "terms" }, pairs);
}
