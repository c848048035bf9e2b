/**
 * The player of one recording: live from the doorbell while it is fetched, then from the verified
 * file, with seeking, single steps and saving.
 * @module
 */
import { fill, h } from "../dom.js";
import { bytesText, t } from "../i18n.js";
import { trustedKeys } from "../trust.js";
import { clipFacts } from "./clip_player.js";
import { refusal } from "./live_refusal.js";
import { fileName } from "./live_tools.js";
import { liveLimitNotice } from "./live_limits.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../clips.js").CheckedClip} CheckedClip */
/** @typedef {import("../clips.js").ClipReader} ClipReader */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */

/** A picture is shown from its time on; so much later it surely is. */
const INTO_PICTURE_S = 0.001;

export class ClipStage {
  /** @param {Context} context @param {ClipReader} reader @param {ClipEvent} clip */
  constructor(context, reader, clip) {
    this.context = context;
    this.reader = reader;
    this.clip = clip;
    this.node = h("div", { class: "player", id: "clip-stage" });
    this.reach = h("div");
    /** @type {{ms: number, atMs: number} | null} where the doorbell's playing is */
    this.place = null;
  }

  /** Plays it at once, and fetches it; what goes wrong is said in its place. */
  async show() {
    this.place = null;
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("clip.fetching") });
    const words = h("p", { class: "muted", role: "status", id: "clip-state" }, t("clip.asking"));
    const video = h("video", { id: "clip-live", playsinline: "", class: "clip", "aria-label": t("clip.title") });
    fill(this.reach);
    fill(this.node, video, words, bar, this.reach);
    try {
      this.#hint(words);
      const playing = this.#playAtOnce(video, words);
      playing.catch((error) => console.warn("not played at once", error));
      await playing.catch(() => {}); // asked for first; the file may come all the same
      const clip = await this.#read((share) => this.#progress(bar, words, share));
      this.reader.stop();
      if (!this.context.left.aborted) this.#showFile(clip, video);
      this.reader.close(); // the doorbell needn't keep a place for us
    } catch (error) {
      console.warn(error);
      if (!this.context.left.aborted) this.#failed(error);
    }
  }

  /** @param {HTMLElement} words */
  async #hint(words) {
    const reach = await this.context.ready.reach(this.clip.device).catch(() => undefined);
    const hint = liveLimitNotice(reach);
    if (hint !== null && words.isConnected && this.place === null) fill(this.reach, hint);
  }

  /** @param {HTMLVideoElement} video @param {HTMLElement} words */
  async #playAtOnce(video, words) {
    const begunMs = performance.now();
    const stream = await this.reader.play(this.clip.body.clip_id, (ms) => this.#at(ms, words));
    video.srcObject = stream;
    video.requestVideoFrameCallback(() => {
      video.dataset.firstFrameMs = String(Math.round(performance.now() - begunMs));
      fill(words, t("clip.playing"));
      fill(this.reach);
    });
    await video.play().catch(() => {
      video.muted = true; // without a press there is no sound
      return video.play();
    });
  }

  /** @param {number | null} ms @param {HTMLElement} words */
  #at(ms, words) {
    this.place = ms === null ? null : { ms, atMs: performance.now() };
    if (ms === null && words.isConnected) fill(words, t("clip.played"));
  }

  /** @param {(share: number) => void} onProgress */
  #read(onProgress) {
    const { identity_key } = trustedKeys(this.context.household, this.clip.device);
    const { clip_id, manifest_digest } = this.clip.body;
    return this.reader.read({ clipId: clip_id, digest: manifest_digest, identityKey: identity_key }, onProgress);
  }

  /** @param {HTMLElement} bar @param {HTMLElement} words @param {number} share */
  #progress(bar, words, share) {
    bar.setAttribute("value", String(share));
    if (this.place === null && share < 1) fill(words, t("clip.fetching"));
  }

  /** @param {CheckedClip} checked @param {HTMLVideoElement} live */
  #showFile({ blob, manifest, times_s }, live) {
    const url = URL.createObjectURL(blob);
    this.context.left.addEventListener("abort", () => URL.revokeObjectURL(url));
    const video = h("video", { id: "clip-video", src: url, controls: true, playsinline: "", preload: "auto", class: "clip" });
    const { place } = this;
    if (place !== null) video.currentTime = (place.ms + performance.now() - place.atMs) / 1000;
    video.muted = live.muted;
    const step = (/** @type {1 | -1} */ by) => () => {
      video.pause();
      video.currentTime = stepFrom(times_s, video.currentTime, by);
    };
    const { name = "" } = this.context.household.doorbell(this.clip.device) ?? {};
    const download = fileName(name, manifest.started_ms, "mp4");
    fill(
      this.node,
      video,
      h(
        "div",
        { class: "clip-tools" },
        h("button", { id: "step-back", onclick: step(-1) }, t("clip.step_back")),
        h("button", { id: "step-on", onclick: step(1) }, t("clip.step_on")),
        h("a", { class: "button", id: "keep-clip", href: url, download }, t("clip.keep", { size: bytesText(blob.size) })),
      ),
      ...clipFacts(manifest).filter(Boolean),
    );
    if (place !== null) video.play().catch((error) => console.warn("not played on", error));
  }

  /** @param {unknown} error */
  #failed(error) {
    const { node, canTryAgain } = refusal(error, this.clip.device);
    const again = h("button", { id: "clip-again", onclick: () => this.show() }, t("error.again"));
    fill(this.node, node, canTryAgain && again);
  }
}

/**
 * Returns the time of the picture before or after the one that is shown.
 * @param {number[]} times_s of all pictures @param {number} shown_s @param {1 | -1} by
 */
export function stepFrom(times_s, shown_s, by) {
  const shown = times_s.findLastIndex((time_s) => time_s <= shown_s + INTO_PICTURE_S);
  const wanted = Math.min(times_s.length - 1, Math.max(0, shown + by));
  return times_s[wanted] + INTO_PICTURE_S;
}
