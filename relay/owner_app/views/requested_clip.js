/**
 * One recording in a request's letter: whether it is given, its player, and the given range. Where
 * it can be cut is known once it was fetched and checked; until then all of it is chosen. From
 * then on every time shown and signed is the doorbell's own, and none that came by way of the
 * relay.
 * @module
 */
import { checkedSpan, durationOf, partsOf, spanOf } from "../grant_terms.js";
import { fill, h } from "../dom.js";
import { triggersOf } from "../event_groups.js";
import { currentLocale, durationText, t, timeText } from "../i18n.js";
import { clipPlayer } from "./clip_player.js";
import { doubt, triggerText } from "./events.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Offered} Offered */
/** @typedef {import("../grant_terms.js").Span} Span */
/** @typedef {import("../clips.js").CheckedClip} CheckedClip */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../vendor/protocol/documents.js").ClipManifest} ClipManifest */

export class RequestedClip {
  /**
   * @param {Context} context @param {import("../clips.js").ClipReader} reader
   * @param {Offered} offered @param {Span} asked @param {() => void} onChange
   */
  constructor(context, reader, offered, asked, onChange) {
    this.clip = offered.clip;
    this.span = offered.span;
    this.asked = asked;
    this.told = spanOf(context.household, offered.clip);
    this.onChange = onChange;
    /** @type {boolean | null} known once it was fetched */
    this.hasSound = null;
    const { clip_id, duration_ms, is_cut_short } = offered.clip.body;
    const told = /** @type {ReportedEvent} */ (context.household.told.get(offered.clip.id));
    const triggers = triggersOf(context.household.history, told);
    const what = [triggerText(triggers), durationText(duration_ms), is_cut_short && t("clip.cut_short")];
    this.what = h("span", { class: "muted" }, what.filter(Boolean).join(" · "), doubt(triggers[0] ?? told));
    this.box = h("input", { type: "checkbox", "data-testid": "choose-clip", value: clip_id, onchange: onChange });
    this.when = h("strong", {}, spanWithSeconds(this.span));
    this.cut = h("div", { class: "cut", "data-testid": "cut" }, offered.isCut && h("p", { class: "muted" }, t("release.reaches_over")));
    const player = clipPlayer(context, reader, offered.clip, (checked, video) => this.#checked(checked, video));
    this.node = h(
      "li",
      { "data-testid": "asked-clip", "data-clip": clip_id },
      h(
        "label",
        { class: "grow sentence" },
        this.box,
        h("span", {}, this.when, this.what),
      ),
      player,
      this.cut,
    );
  }

  get isChosen() {
    return this.box.checked;
  }

  /** @param {CheckedClip} checked @param {HTMLVideoElement} video */
  #checked(checked, video) {
    const { manifest } = checked;
    this.hasSound = manifest.sound !== undefined;
    fill(this.what, signedText(checked));
    const whole = checkedSpan(checked);
    if (whole === null) return this.#cannotBeGiven("release.no_time");
    const parts = partsOf(manifest, whole, this.asked);
    if (parts.length === 0) return this.#cannotBeGiven("release.no_part");
    const isOther = whole.from_ms !== this.told.from_ms || whole.to_ms !== this.told.to_ms;
    if (isOther) this.box.checked = false; // it was chosen by another time
    const words = isOther && h("p", { class: "warn-text", role: "status", "data-testid": "other-time" }, t("release.other_time"));
    fill(this.cut, words, this.#range(parts, whole.from_ms, manifest, video));
  }

  /** @param {string} why */
  #cannotBeGiven(why) {
    this.box.checked = false;
    this.box.disabled = true;
    fill(this.cut, h("p", { class: "warn-text" }, t(why)));
    this.onChange();
  }

  /** @param {Span[]} parts @param {number} startedMs @param {ClipManifest} manifest @param {HTMLVideoElement} video */
  #range(parts, startedMs, manifest, video) {
    const last = parts.length - 1;
    const id = manifest.clip_id;
    const slider = (/** @type {string} */ name, /** @type {number} */ value) =>
      h("input", { type: "range", id: `${name}-${id}`, "data-testid": `cut-${name}`, min: 0, max: last, value });
    const [from, to] = [slider("from", 0), slider("to", last)];
    const words = h("p", { class: "muted", role: "status" });
    let isPlayingPart = false;
    const atS = (/** @type {number} */ ms) => (ms - startedMs) / 1000;
    const moved = (/** @type {HTMLInputElement | null} */ by) => {
      if (Number(from.value) > Number(to.value)) (by === from ? to : from).value = (by ?? from).value;
      const [first, end] = [parts[Number(from.value)], parts[Number(to.value)]];
      this.span = { from_ms: first.from_ms, to_ms: end.to_ms };
      from.setAttribute("aria-valuetext", timeText(first.from_ms, "second"));
      to.setAttribute("aria-valuetext", timeText(end.to_ms, "second"));
      if (by !== null) {
        video.pause();
        video.currentTime = by === from ? atS(first.from_ms) : Math.max(atS(first.from_ms), atS(end.to_ms) - 0.1);
      }
      fill(this.when, spanWithSeconds(this.span));
      const isWhole = first === parts[0] && end === parts[last];
      fill(words, t(isWhole ? "release.all_of_it" : "release.part_of_it", { duration: durationText(end.to_ms - first.from_ms) }));
      this.onChange();
    };
    from.addEventListener("input", () => moved(from));
    to.addEventListener("input", () => moved(to));
    video.addEventListener("timeupdate", () => {
      if (isPlayingPart && video.currentTime >= atS(this.span.to_ms)) video.pause();
    });
    video.addEventListener("pause", () => (isPlayingPart = false));
    const play = () => {
      video.currentTime = atS(this.span.from_ms);
      isPlayingPart = true;
      video.play().catch((error) => console.warn("not played", error));
    };
    moved(null);
    return [
      last > 0 && h("div", { class: "pair" }, field("release.from", from), field("release.to", to)),
      words,
      h("button", { "data-testid": "play-part", onclick: play }, t("release.play_part")),
    ];
  }
}

/** @param {string} label @param {HTMLInputElement} input */
function field(label, input) {
  return h("div", {}, h("label", { for: input.id }, t(label)), input);
}

/** What is to be known about its time. @type {Record<string, string>} */
const DOUBTS = { dated: "event.clock_corrected", latest: "event.clock_latest", unknown: "event.clock_unknown" };

/** What a recording is, as the doorbell signed it, and how its time is known. @param {CheckedClip} checked */
function signedText({ manifest, dating }) {
  const { triggers, ended } = manifest;
  const type = triggers.some(({ kind }) => kind === "pressed") ? "pressed" : "motion";
  const what = [
    t(`event.${type}`),
    durationText(durationOf(manifest)),
    ended === "cut_short" && t("clip.cut_short"),
    dating !== "trusted" && t(DOUBTS[dating]),
  ];
  return what.filter(Boolean).join(" · ");
}

/** @param {Span} span */
function spanWithSeconds({ from_ms, to_ms }) {
  const format = /** @type {Intl.DateTimeFormatOptions} */ ({
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return new Intl.DateTimeFormat(currentLocale(), format).formatRange(from_ms, to_ms);
}
