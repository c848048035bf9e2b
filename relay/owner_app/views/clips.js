/**
 * Recordings: the list, and one of them. They come from the doorbell itself, never by the relay.
 * @module
 */
import { ClipReader } from "../clips.js";
import { h, skeleton } from "../dom.js";
import { durationText, t, time } from "../i18n.js";
import { clipPlayer, guarded, living } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */

/** @param {Context} context */
export function clipsPage(context) {
  const { household, parts } = context;
  const place = h("div", { "aria-live": "polite" });
  const older = guarded(place, () => household.loadOlder());
  const list = living(context, () => {
    if (!household.isLoaded) return [skeleton(5)];
    const clips = household.clips.filter((clip) => !parts[0] || clip.device === parts[0]);
    if (clips.length === 0) return [h("p", { class: "empty" }, t("clips.none"))];
    return [
      h("ul", { class: "rows", id: "clips" }, clips.map(row)),
      !household.isComplete && h("button", { id: "older", onclick: older }, t("clips.older")),
    ];
  });
  return { title: t("clips.title"), body: [h("p", { class: "muted" }, t("clips.lead")), list, place] };
}

/** @param {ClipEvent} clip */
function row(clip) {
  const { clip_id, started_ms, duration_ms, is_cut_short } = clip.body;
  const detail = [durationText(duration_ms), is_cut_short && ` · ${t("clip.cut_short")}`];
  return h(
    "li",
    { "data-testid": "clip", "data-clip": clip_id },
    h("div", { class: "grow" }, h("strong", {}, time(started_ms)), h("span", { class: "muted" }, detail)),
    h("a", { class: "button", href: `#/clips/${clip.device}/${clip_id}` }, t("clip.open")),
  );
}

/** @param {Context} context */
export async function clipPage(context) {
  const { household, relay, config, parts, left } = context;
  const [device, clipId] = parts;
  if (!household.isLoaded) await household.load();
  const clip = household.clips.find((found) => found.body.clip_id === clipId);
  if (clip === undefined) {
    return { title: t("clips.title"), body: [h("p", {}, t("clip.error.gone"))] };
  }
  const reader = new ClipReader(relay, device, config.ice_servers);
  left.addEventListener("abort", () => reader.close());
  const { started_ms, duration_ms, pre_roll_ms, is_cut_short } = clip.body;
  return {
    title: t("clip.title"),
    isWide: true,
    body: [
      h("p", {}, time(started_ms), ` · ${durationText(duration_ms)}`),
      clipPlayer(context, reader, clip, { isEager: true, id: "clip-video" }),
      h("p", { class: "muted" }, t("clip.pre_roll", { duration: durationText(pre_roll_ms) })),
      is_cut_short && h("p", { class: "muted" }, t("clip.cut_short_help")),
      !clip.is_clock_trusted && h("p", { class: "warn-text" }, t("clip.clock_unsure")),
      h("p", {}, h("a", { href: "#/clips" }, t("clip.back"))),
    ].filter((node) => node !== false),
  };
}
