/**
 * The player of one recording: live from the doorbell while it is fetched, then from the verified
 * file. One bar of controls for both: while it is fetched, the doorbell itself is asked for another
 * moment of it.
 * @module
 */
import { fill, h } from "../dom.js";
import { durationText, lengthText, t } from "../i18n.js";
import { trustedKeys } from "../trust.js";
import { clipFacts } from "./clip_player.js";
import { refusal } from "./live_refusal.js";
import { liveLimitNotice } from "./live_limits.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../clips.js").CheckedClip} CheckedClip */
/** @typedef {import("../clips.js").ClipReader} ClipReader */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {{blob: Blob, url: string, startedMs: number}} Fetched */

/** A picture is shown from its time on; so much later it surely is. */
const INTO_PICTURE_S = 0.001;
const SPEEDS = [0.25, 0.5, 1, 2, 4];
const LEAP_MS = 5000;
const LOOK_MS = 100;

export class ClipStage {
  /** @param {Context} context @param {ClipReader} reader @param {ClipEvent} clip @param {(fetched: Fetched) => void} onFetched */
  constructor(context, reader, clip, onFetched) {
    this.context = context;
    this.reader = reader;
    this.clip = clip;
    this.onFetched = onFetched;
    this.screen = h("div", { class: "screen" });
    this.words = h("div", { class: "clip-words" });
    this.reach = h("div");
    this.controls = new Controls(this, clip.body.duration_ms);
    this.node = h("div", { class: "player", id: "clip-stage" });
    this.node.addEventListener("keydown", (event) => this.controls.onKey(event));
    /** @type {{ms: number, atMs: number} | null} where the doorbell's playing is */
    this.place = null;
    /** @type {number | null} where it was stopped, while it is played by the doorbell */
    this.pausedMs = null;
    this.video = /** @type {HTMLVideoElement | null} */ (null);
    /** @type {number[] | null} the times of the file's pictures, once it is here */
    this.times_s = null;
    this.timer = setInterval(() => this.controls.look(), LOOK_MS);
    this.isOver = false;
  }

  get isFile() {
    return this.times_s !== null;
  }

  get isPlaying() {
    if (this.video === null) return false;
    return this.isFile ? !this.video.paused && !this.video.ended : this.place !== null && this.pausedMs === null;
  }

  /** Where it is. */
  get ms() {
    if (this.isFile) return (this.video?.currentTime ?? 0) * 1000;
    if (this.pausedMs !== null) return this.pausedMs;
    return this.place === null ? 0 : this.place.ms + performance.now() - this.place.atMs;
  }

  /** Plays it at once, and fetches it; what goes wrong is said in its place. */
  async show() {
    this.place = this.pausedMs = this.times_s = null;
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("clip.fetching") });
    const words = h("p", { class: "muted", role: "status", id: "clip-state" }, t("clip.asking"));
    const video = h("video", { id: "clip-live", playsinline: "", class: "clip", "aria-label": t("clip.title") });
    this.video = video;
    fill(this.reach);
    fill(this.screen, video);
    fill(this.words, words, bar, this.reach);
    fill(this.node, this.screen, this.controls.node, this.words);
    try {
      this.#hint(words);
      const playing = this.#playAtOnce(video, words);
      playing.catch((error) => console.warn("not played at once", error));
      await playing.catch(() => {}); // asked for first; the file may come all the same
      const clip = await this.#read((share) => this.#progress(bar, words, share));
      this.reader.stop();
      if (!this.isOver) this.#showFile(clip, video);
      this.reader.close(); // the doorbell needn't keep a place for us
    } catch (error) {
      console.warn(error);
      if (!this.isOver) this.#failed(error);
    }
  }

  /** Ends it: the reader has left, or it is deleted. */
  end() {
    this.isOver = true;
    clearInterval(this.timer);
    this.video?.pause();
    this.reader.close();
  }

  /** Goes to a moment of it. @param {number} ms */
  seek(ms) {
    const { video } = this;
    const to = Math.min(Math.max(0, ms), this.clip.body.duration_ms);
    if (video === null) return;
    if (this.isFile) video.currentTime = to / 1000;
    else if (this.pausedMs !== null) this.pausedMs = to;
    else this.#ask(to);
    this.controls.look();
  }

  toggle() {
    const { video } = this;
    if (video === null) return;
    if (this.isPlaying) {
      if (!this.isFile) this.pausedMs = this.ms;
      video.pause();
    } else if (this.isFile) video.play().catch((error) => console.warn("not played", error));
    else {
      const from = this.pausedMs ?? 0;
      this.pausedMs = null;
      this.#ask(from);
      video.play().catch((error) => console.warn("not played", error));
    }
    this.controls.look();
  }

  /** @param {1 | -1} by */
  step(by) {
    const { video, times_s } = this;
    if (video === null || times_s === null) return;
    video.pause();
    video.currentTime = stepFrom(times_s, video.currentTime, by);
  }

  /** @param {number} ms */
  #ask(ms) {
    this.place = { ms, atMs: performance.now() };
    this.reader.seek(this.clip.body.clip_id, ms).catch((error) => console.warn("no other moment", error));
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
    if (this.pausedMs !== null) return;
    this.place = ms === null ? null : { ms, atMs: performance.now() };
    if (ms !== null) return;
    this.pausedMs = this.isFile ? null : this.clip.body.duration_ms;
    if (words.isConnected) fill(words, t("clip.played"));
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
    const video = h("video", { id: "clip-video", src: url, playsinline: "", preload: "auto", class: "clip", "aria-label": t("clip.title") });
    const wasPlaying = this.isPlaying;
    video.currentTime = this.ms / 1000;
    video.muted = live.muted;
    this.times_s = times_s;
    this.video = video;
    fill(this.screen, video);
    fill(this.words, ...clipFacts(manifest).filter(Boolean));
    this.controls.useFile(video, manifest.sound !== undefined);
    this.onFetched({ blob, url, startedMs: manifest.started_ms });
    if (wasPlaying) video.play().catch((error) => console.warn("not played on", error));
  }

  /** @param {unknown} error */
  #failed(error) {
    const { node, canTryAgain } = refusal(error, this.clip.device);
    const again = h("button", { id: "clip-again", onclick: () => this.show() }, t("error.again"));
    fill(this.node, node, canTryAgain && again);
  }
}

/** The bar below the picture: play, where it is, speed, picture by picture, sound, full screen. */
class Controls {
  /** @param {ClipStage} stage @param {number} durationMs */
  constructor(stage, durationMs) {
    this.stage = stage;
    this.durationMs = durationMs;
    this.isDragged = false;
    this.play = h("button", { id: "clip-play", class: "primary", onclick: () => stage.toggle() }, t("clip.play"));
    this.bar = h("input", { type: "range", id: "clip-bar", min: 0, max: durationMs, step: 100, value: 0, "aria-label": t("clip.where") });
    this.bar.addEventListener("input", () => {
      this.isDragged = true;
      if (stage.isFile) stage.seek(Number(this.bar.value));
      this.#write(Number(this.bar.value));
    });
    this.bar.addEventListener("change", () => {
      this.isDragged = false;
      stage.seek(Number(this.bar.value));
    });
    this.clock = h("span", { class: "clip-clock" });
    const speeds = SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, t("clip.speed_times", { speed: speed.toLocaleString() })));
    this.speed = h("select", { id: "clip-speed", "aria-label": t("clip.speed"), disabled: true, onchange: () => this.#speed() }, speeds);
    this.back = h("button", { id: "step-back", disabled: true, "aria-label": t("clip.step_back"), onclick: () => stage.step(-1) }, "‹");
    this.on = h("button", { id: "step-on", disabled: true, "aria-label": t("clip.step_on"), onclick: () => stage.step(1) }, "›");
    this.sound = h("button", { id: "clip-sound", onclick: () => this.#sound() }, t("clip.sound_off"));
    this.full = h("button", { id: "clip-full", onclick: () => void this.#full() }, t("live.full"));
    this.node = h(
      "div",
      { class: "clip-controls", role: "group", "aria-label": t("clip.controls") },
      h("div", { class: "clip-where" }, this.bar, this.clock),
      h("div", { class: "clip-buttons" }, this.play, this.back, this.on, this.speed, this.sound, this.full),
    );
    this.#write(0);
  }

  /** From now on it is the file's. @param {HTMLVideoElement} video @param {boolean} hasSound */
  useFile(video, hasSound) {
    this.sound.hidden = !hasSound;
    for (const control of [this.speed, this.back, this.on]) control.removeAttribute("disabled");
    for (const type of ["play", "pause", "seeked", "ended", "volumechange"]) video.addEventListener(type, () => this.look());
    this.#speed();
    this.look();
  }

  /** Shows how it is now. */
  look() {
    const { stage } = this;
    const said = t(stage.isPlaying ? "clip.pause" : "clip.play");
    if (this.play.textContent !== said) this.play.textContent = said;
    const sound = t(stage.video?.muted ? "clip.sound_on" : "clip.sound_off");
    if (this.sound.textContent !== sound) this.sound.textContent = sound;
    if (this.isDragged) return;
    const ms = Math.min(this.durationMs, stage.ms);
    this.bar.value = String(ms);
    this.#write(ms);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isOnBar = target === this.bar;
    if (target instanceof HTMLElement && !isOnBar && target.matches("select, button, a, input") && key === " ") return;
    /** @type {Record<string, () => void>} */
    const keys = {
      " ": () => this.stage.toggle(),
      k: () => this.stage.toggle(),
      ArrowLeft: () => this.stage.seek(this.stage.ms - LEAP_MS),
      ArrowRight: () => this.stage.seek(this.stage.ms + LEAP_MS),
      ",": () => this.stage.step(-1),
      ".": () => this.stage.step(1),
    };
    if (!Object.hasOwn(keys, key) || (target === this.speed && key.startsWith("Arrow"))) return;
    event.preventDefault();
    keys[key]();
  }

  /** @param {number} ms */
  #write(ms) {
    const text = `${lengthText(ms)} / ${lengthText(this.durationMs)}`;
    if (this.clock.textContent === text) return;
    this.clock.textContent = text;
    this.bar.setAttribute("aria-valuetext", durationText(ms));
  }

  #speed() {
    if (this.stage.video !== null) this.stage.video.playbackRate = Number(this.speed.value);
  }

  #sound() {
    if (this.stage.video !== null) this.stage.video.muted = !this.stage.video.muted;
    this.look();
  }

  async #full() {
    const { screen, video } = this.stage;
    try {
      if (document.fullscreenElement !== null) await document.exitFullscreen();
      else if (screen.requestFullscreen) await screen.requestFullscreen();
      else /** @type {any} */ (video)?.webkitEnterFullscreen(); // an iPhone shows videos only
    } catch (error) {
      console.warn("no full screen", error);
    }
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
