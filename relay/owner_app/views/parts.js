/**
 * Pieces that several pages use: problems in words, redrawing on change, a clip's player.
 * @module
 */
import { ApiError, Unreachable } from "../api.js";
import { ClipError } from "../clips.js";
import { fill, h } from "../dom.js";
import { durationText, hasText, t, tn } from "../i18n.js";
import { NoSession } from "../live.js";
import { NotOwnPasskey } from "../own_passkey.js";
import { KeysDiffer, trustedKeys } from "../trust.js";
import { PasskeyDeclined } from "../vendor/browser/passkey.js";
import { WireError } from "../vendor/protocol/encoding.js";
import { NO_MASK_DIGEST } from "../vendor/protocol/footage.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */

/** Says what went wrong and what to do. @param {unknown} error */
export function problem(error) {
  return h("div", { class: "warning", role: "alert" }, h("p", {}, problemText(error)));
}

/** @param {unknown} error */
function problemText(error) {
  if (error instanceof Unreachable) return t("error.unreachable");
  if (error instanceof PasskeyDeclined) return t("error.passkey");
  if (error instanceof KeysDiffer) return t("error.keys_differ");
  if (error instanceof NotOwnPasskey) return t("error.not_own_passkey");
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
 * Draws now and whenever the household or the contact to it changes, until the reader leaves.
 * @param {Context} context
 * @param {() => (Node | false | null | Node[])[]} content
 */
export function living({ household, left }, content) {
  const place = h("div");
  const redraw = () => {
    const focused = document.activeElement?.id;
    fill(place, content());
    if (focused && place.querySelector(`#${CSS.escape(focused)}`)) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
  };
  redraw();
  household.addEventListener("change", redraw, { signal: left });
  household.addEventListener("contact", redraw, { signal: left });
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

/**
 * A player for one clip: fetches and checks it on a press of "Watch".
 * @param {Context} context
 * @param {import("../clips.js").ClipReader} reader
 * @param {ClipEvent} event
 * @param {(clip: import("../clips.js").CheckedClip, video: HTMLVideoElement) => void} onChecked
 */
export function clipPlayer(context, reader, event, onChecked) {
  const place = h("div", { class: "player" });
  const show = async () => {
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("clip.fetching") });
    fill(place, h("p", { class: "muted", role: "status" }, t("clip.fetching")), bar);
    try {
      const { identity_key } = trustedKeys(context.household, event.device);
      const { clip_id, manifest_digest } = event.body;
      const which = { clipId: clip_id, digest: manifest_digest, identityKey: identity_key };
      const clip = await reader.read(which, (share) => bar.setAttribute("value", String(share)));
      const video = checkedVideo(clip, context.left);
      fill(place, video, clipFacts(clip.manifest));
      onChecked(clip, video);
    } catch (error) {
      console.warn(error);
      fill(place, problem(error), h("button", { onclick: show }, t("error.again")));
    }
  };
  const label = t("clip.watch", { duration: durationText(event.body.duration_ms) });
  fill(place, h("button", { onclick: show, "data-testid": "watch-clip" }, label));
  return place;
}

/**
 * @param {import("../clips.js").CheckedClip} clip
 * @param {AbortSignal} left
 */
function checkedVideo({ blob }, left) {
  const url = URL.createObjectURL(blob);
  left.addEventListener("abort", () => URL.revokeObjectURL(url));
  return h("video", { src: url, controls: true, playsinline: "", preload: "auto", class: "clip" });
}

/**
 * What is known of a checked clip, in words.
 * @param {import("../vendor/protocol/documents.js").ClipManifest} manifest
 */
export function clipFacts({ width, height, gops, lost_units, mask_digest, is_clock_trusted }) {
  const pictures = gops.reduce((sum, gop) => sum + gop.unit_count, 0);
  return [
    h(
      "p",
      { class: "ok muted", "data-testid": "verify-ok" },
      t("clip.verified", { pictures, width, height }),
    ),
    lost_units > 0 && h("p", { class: "warn-text" }, tn("clip.lost", lost_units)),
    !is_clock_trusted && h("p", { class: "muted" }, t("clip.clock")),
    mask_digest !== NO_MASK_DIGEST && h("p", { class: "muted" }, t("clip.masked")),
  ];
}
