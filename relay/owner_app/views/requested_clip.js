/**
 * One recording that a request asks for: whether it is given, its picture, its player, and the
 * given range. Where it can be cut is known once it was fetched and checked; until then all of it
 * is chosen, as far as it lies in the asked time. From then on every time shown and signed is the
 * doorbell's own, and none that came by way of the relay.
 * @module
 */
import { ClipError } from "../clip_error.js";
import { checkedSpan, durationOf, partsOf, spanOf } from "../grant_terms.js";
import { fill, h, mark } from "../dom.js";
import { triggersOf } from "../event_groups.js";
import { currentLocale, durationText, t } from "../i18n.js";
import { trustedKeys } from "../trust.js";
import { clipFacts } from "./clip_player.js";
import { doubt, triggerText } from "./events.js";
import { FilmStrip } from "./film_strip.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Offered} Offered */
/** @typedef {import("../grant_terms.js").Part} Part */
/** @typedef {import("../grant_terms.js").Span} Span */
/** @typedef {import("../clips.js").CheckedClip} CheckedClip */
/** @typedef {import("../clips.js").ClipReader} ClipReader */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../pictures.js").Picture} Picture */
/** @typedef {{reader: ClipReader, pictureOf: (clip: ReportedEvent) => Promise<Picture | null>, onChange: () => void, onOpen: (opened: RequestedClip) => void}} Around the rows that it stands among */

export class RequestedClip {
  /** @param {Context} context @param {Offered} offered @param {Span} asked @param {Around} around */
  constructor(context, offered, asked, around) {
    this.context = context;
    this.clip = offered.clip;
    this.span = offered.span;
    this.asked = asked;
    this.around = around;
    this.told = spanOf(context.household, offered.clip);
    /** @type {boolean | null} known once it was fetched */
    this.hasSound = null;
    /** @type {FilmStrip | null} once it was fetched and checked */
    this.strip = null;
    this.isFetching = false;
    const { clip_id, is_cut_short } = offered.clip.body;
    const told = /** @type {ReportedEvent} */ (context.household.told.get(offered.clip.id));
    const triggers = triggersOf(context.household.history, told);
    this.kind = triggerText(triggers);
    const what = [dayOf(this.span), this.kind, this.#length(this.told), is_cut_short && t("clip.cut_short")];
    this.what = h("span", { class: "muted" }, what.filter(Boolean).join(" · "), doubt(triggers[0] ?? told));
    this.box = h("input", { type: "checkbox", "data-testid": "choose-clip", value: clip_id, onchange: () => this.#ticked() });
    this.when = h("strong", {}, spanWithSeconds(this.span));
    this.thumb = h("span", { class: "thumb" }, mark());
    void this.#showPicture(told);
    this.look = h("button", { class: "quiet", "data-testid": "watch-clip", "aria-expanded": "false", onclick: () => this.#toggle() }, t("release.look"));
    this.cut = h("div", { class: "cut", "data-testid": "cut" }, offered.isCut && h("p", { class: "muted" }, t("release.reaches_over")));
    this.editor = h("div", { class: "editor", hidden: true });
    const row = h("label", { class: "grow sentence" }, this.box, this.thumb, h("span", {}, this.when, this.what));
    this.node = h("li", { "data-testid": "asked-clip", "data-clip": clip_id }, row, this.look, this.cut, this.editor);
  }

  get isChosen() {
    return this.box.checked;
  }

  /** Its first picture as it leaves, once that is painted. @returns {HTMLCanvasElement | null} */
  get firstPicture() {
    const canvas = this.strip?.firsts.canvas;
    return canvas !== undefined && "painted" in canvas.dataset ? canvas : null;
  }

  /** Folds its player and its trim away; what was chosen stays. */
  fold() {
    this.editor.hidden = true;
    this.look.setAttribute("aria-expanded", "false");
    this.editor.querySelector("video")?.pause();
  }

  #toggle() {
    if (this.editor.hidden) this.#open();
    else this.fold();
  }

  #ticked() {
    if (this.box.checked) this.#open();
    this.around.onChange();
  }

  #open() {
    this.around.onOpen(this);
    this.editor.hidden = false;
    this.look.setAttribute("aria-expanded", "true");
    if (this.strip === null && !this.isFetching) void this.#fetch();
  }

  async #fetch() {
    const { household } = this.context;
    const { device } = this.clip;
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("clip.fetching") });
    fill(this.editor, h("p", { class: "muted", role: "status" }, t("clip.fetching")), bar);
    this.isFetching = true;
    try {
      const { identity_key: identityKey } = trustedKeys(household, device);
      const { clip_id: clipId, manifest_digest: digest } = this.clip.body;
      const checked = await this.around.reader.read({ clipId, digest, identityKey }, (share) => bar.setAttribute("value", String(share)));
      this.#checked(checked);
    } catch (error) {
      console.warn(error);
      this.#notFetched(error);
    }
    this.isFetching = false;
  }

  /** @param {unknown} error */
  #notFetched(error) {
    if (error instanceof ClipError && error.reason !== "unreachable") {
      fill(this.editor);
      return this.#cannotBeGiven(`clip.error.${error.reason}`);
    }
    const again = h("button", { "data-testid": "fetch-again", onclick: () => this.#fetch() }, t("error.again"));
    fill(this.editor, problem(error), h("p", { class: "muted" }, t("release.unwatched")), again);
  }

  /** @param {CheckedClip} checked */
  #checked(checked) {
    const { manifest } = checked;
    this.hasSound = manifest.sound !== undefined;
    const video = videoOf(checked, this.context.left);
    const whole = checkedSpan(checked);
    const parts = whole === null ? [] : partsOf(manifest, whole, this.asked);
    if (whole === null || parts.length === 0) {
      fill(this.what, signedText(checked, durationText(durationOf(manifest))));
      fill(this.editor, video, clipFacts(manifest));
      return this.#cannotBeGiven(whole === null ? "release.no_time" : "release.no_part");
    }
    const isOther = whole.from_ms !== this.told.from_ms || whole.to_ms !== this.told.to_ms;
    if (isOther) this.box.checked = false; // it was chosen by another time
    fill(this.cut, isOther && h("p", { class: "warn-text", role: "status", "data-testid": "other-time" }, t("release.other_time")));
    const play = playerOf(video, whole.from_ms, () => this.span);
    this.strip = new FilmStrip(checked, parts, whole, (strip, moved) => {
      this.span = strip.span;
      fill(this.when, spanWithSeconds(this.span));
      fill(this.what, `${dayOf(this.span)} · ${signedText(checked, this.#length(whole))}`);
      if (moved !== null) play.show(moved);
      this.around.onChange();
    });
    fill(
      this.editor,
      this.strip.node,
      video,
      h("button", { "data-testid": "play-part", onclick: () => play.play() }, t("release.play_part")),
      clipFacts(manifest),
    );
  }

  /** @param {string} why */
  #cannotBeGiven(why) {
    this.box.checked = false;
    this.box.disabled = true;
    fill(this.cut, h("p", { class: "warn-text", role: "status", "data-testid": "not-givable" }, t(why)));
    this.around.onChange();
  }

  /** How much of it would leave, and of how much if that is less. @param {Span} whole */
  #length(whole) {
    const [given_ms, whole_ms] = [this.span, whole].map(({ from_ms, to_ms }) => to_ms - from_ms);
    const duration = durationText(given_ms);
    return given_ms === whole_ms ? duration : t("release.given_of", { duration, whole: durationText(whole_ms) });
  }

  /** @param {ReportedEvent} told */
  async #showPicture(told) {
    const picture = await this.around.pictureOf(told);
    if (picture?.state === "shown") fill(this.thumb, h("img", { src: picture.url, alt: t("thumb.alt", { what: this.kind }) }));
  }
}

/** @param {CheckedClip} checked @param {AbortSignal} left */
function videoOf({ blob }, left) {
  const url = URL.createObjectURL(blob);
  left.addEventListener("abort", () => URL.revokeObjectURL(url));
  return h("video", { src: url, controls: true, playsinline: "", preload: "auto", class: "clip" });
}

/**
 * Plays what would leave, and nothing after it.
 * @param {HTMLVideoElement} video @param {number} startedMs @param {() => Span} spanNow
 */
function playerOf(video, startedMs, spanNow) {
  const atS = (/** @type {number} */ ms) => (ms - startedMs) / 1000;
  let isPlayingPart = false;
  video.addEventListener("timeupdate", () => {
    if (isPlayingPart && video.currentTime >= atS(spanNow().to_ms)) video.pause();
  });
  video.addEventListener("pause", () => (isPlayingPart = false));
  return {
    /** @param {"from" | "to"} end */
    show(end) {
      const { from_ms, to_ms } = spanNow();
      video.pause();
      video.currentTime = end === "from" ? atS(from_ms) : Math.max(atS(from_ms), atS(to_ms) - 0.1);
    },
    play() {
      video.currentTime = atS(spanNow().from_ms);
      isPlayingPart = true;
      video.play().catch((error) => console.warn("not played", error));
    },
  };
}

/** What is to be known about its time. @type {Record<string, string>} */
const DOUBTS = { dated: "event.clock_corrected", latest: "event.clock_latest", unknown: "event.clock_unknown" };

/** What a recording is, as the doorbell signed it, and how its time is known. @param {CheckedClip} checked @param {string} length */
function signedText({ manifest, dating }, length) {
  const { triggers, ended } = manifest;
  const type = triggers.some(({ kind }) => kind === "pressed") ? "pressed" : "motion";
  const what = [t(`event.${type}`), length, ended === "cut_short" && t("clip.cut_short"), dating !== "trusted" && t(DOUBTS[dating])];
  return what.filter(Boolean).join(" · ");
}

/** From when to when, to the second; the day stands beside it. @param {Span} span */
export function spanWithSeconds({ from_ms, to_ms }) {
  const digits = /** @type {const} */ ("2-digit");
  return new Intl.DateTimeFormat(currentLocale(), { hour: digits, minute: digits, second: digits }).formatRange(from_ms, to_ms);
}

/** @param {Span} span */
export function dayOf({ from_ms }) {
  return new Intl.DateTimeFormat(currentLocale(), { weekday: "short", day: "numeric", month: "long" }).format(from_ms);
}
