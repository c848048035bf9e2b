/**
 * A clip's player: on a press the clip is fetched and verified, and its facts are shown.
 * @module
 */
import { fill, h } from "../dom.js";
import { durationText, momentText, t, tn } from "../i18n.js";
import { trustedKeys } from "../trust.js";
import { NO_MASK_DIGEST, shownSize } from "../vendor/protocol/footage.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */

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
export function clipFacts(manifest) {
  const { gops, lost_units, gaps, mask_digest, is_clock_trusted } = manifest;
  const [width, height] = shownSize(manifest);
  const pictures = gops.reduce((sum, gop) => sum + gop.unit_count, 0);
  return [
    h(
      "p",
      { class: "ok muted", "data-testid": "verify-ok" },
      t("clip.verified", { pictures, width, height }),
    ),
    lost_units > 0 && h("p", { class: "warn-text" }, tn("clip.lost", lost_units)),
    gaps !== undefined && h("p", { class: "warn-text" }, t("clip.gaps", { count: gaps.count, longest: momentText(gaps.longest_90k / 90) })),
    !is_clock_trusted && h("p", { class: "muted" }, t("clip.clock")),
    mask_digest !== NO_MASK_DIGEST && h("p", { class: "muted" }, t("clip.masked")),
  ];
}
