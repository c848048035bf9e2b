/**
 * Tools of a live picture: full screen, snapshot, picture in picture, and keyboard shortcuts.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { nowMs } from "../town_time.js";

/** @typedef {{words: string, press: () => void, release?: () => void}} Shortcut */

const KEYS_ARE_OFF = "doorward.shortcuts-off";
const KEEP_URL_MS = 60_000;
/** So long after the last touch the tools fade. */
const FADE_MS = 5000;
/** The click of a touch comes within this. */
const TOUCH_MS = 500;

export class PictureTools {
  /** @param {HTMLElement} screen @param {HTMLVideoElement} video @param {string} name of the door */
  constructor(screen, video, name) {
    this.screen = screen;
    this.video = video;
    this.name = name;
    this.words = h("p", { class: "muted", role: "status", id: "tool-words" });
    const full = h("button", { id: "full-screen" }, t("live.full"));
    full.addEventListener("click", () => this.#fullScreen());
    this.snapshot = h("button", { id: "snapshot" }, t("live.snapshot"));
    this.snapshot.addEventListener("click", () => this.#takeSnapshot());
    const aside = h("button", { id: "picture-aside" }, t("live.aside"));
    aside.addEventListener("click", () => this.#aside());
    this.more = [full, document.pictureInPictureEnabled && aside];
    document.addEventListener("fullscreenchange", () => {
      fill(full, t(document.fullscreenElement === screen ? "live.not_full" : "live.full"));
    });
  }

  get shortcuts() {
    return {
      f: { words: "shortcut.full", press: () => this.#fullScreen() },
      s: { words: "shortcut.snapshot", press: () => this.#takeSnapshot() },
      p: { words: "shortcut.aside", press: () => this.#aside() },
    };
  }

  async #fullScreen() {
    const { screen, video } = this;
    try {
      if (document.fullscreenElement !== null) await document.exitFullscreen();
      else if (screen.requestFullscreen) await screen.requestFullscreen();
      else /** @type {any} */ (video).webkitEnterFullscreen(); // an iPhone shows videos only
    } catch (error) {
      this.#cannot(error);
    }
  }

  async #aside() {
    try {
      if (document.pictureInPictureElement === this.video) await document.exitPictureInPicture();
      else await this.video.requestPictureInPicture();
    } catch (error) {
      this.#cannot(error);
    }
  }

  #takeSnapshot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width === 0) return void fill(this.words, t("live.no_picture_yet"));
    const canvas = h("canvas", { width, height });
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    canvas.toBlob((picture) => picture && this.#save(picture), "image/png");
  }

  /** @param {Blob} picture */
  #save(picture) {
    const url = URL.createObjectURL(picture);
    const file = fileName(this.name, nowMs(), "png");
    h("a", { href: url, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(url), KEEP_URL_MS);
    fill(this.words, t("live.saved", { file }));
  }

  /** @param {unknown} error */
  #cannot(error) {
    console.warn(error);
    fill(this.words, t("live.tool_failed"));
  }
}

/** Keeps a phone's screen on while one watches (W3C Screen Wake Lock), where the browser can. */
export class Awake {
  constructor() {
    /** @type {WakeLockSentinel | null} */
    this.lock = null;
  }

  async keep() {
    try {
      this.lock ??= (await navigator.wakeLock?.request("screen")) ?? null;
    } catch (error) {
      console.warn("the screen may go dark", error); // the battery is low, say
    }
  }

  release() {
    this.lock?.release().catch(() => {});
    this.lock = null;
  }
}

/** Lets the tools fade while nobody touches anything; any movement, key or touch brings them back. */
export class IdleControls {
  /** @param {HTMLElement} screen @param {AbortSignal} left */
  constructor(screen, left) {
    this.screen = screen;
    this.timer = 0;
    for (const type of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      screen.addEventListener(type, (event) => this.#wake(event), { capture: true });
    }
    left.addEventListener("abort", () => clearTimeout(this.timer));
    this.#sleepLater();
  }

  /** @param {Event} event */
  #wake(event) {
    const { screen } = this;
    const isFaded = screen.dataset.idle !== undefined;
    delete screen.dataset.idle;
    this.#sleepLater();
    // Whoever touches what can't be seen wants to see it, not to press it.
    const { target } = event;
    const isUnseen = isFaded && event.type === "pointerdown" && target instanceof Element && target.closest(".live-tools") !== null;
    if (!isUnseen) return;
    screen.addEventListener("click", swallow, { capture: true });
    setTimeout(() => screen.removeEventListener("click", swallow, { capture: true }), TOUCH_MS);
  }

  #sleepLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const isOpen = this.screen.querySelector("#live-panel:not([hidden])") !== null;
      if (!isOpen && this.screen.dataset.state === "connected") this.screen.dataset.idle = "";
      else this.#sleepLater();
    }, FADE_MS);
  }
}

/** @param {Event} event */
function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Keys for those who like them; they can be switched off (WCAG 2.1.4). */
export class Shortcuts {
  /** @param {Record<string, Shortcut>} keys @param {AbortSignal} left */
  constructor(keys, left) {
    this.keys = keys;
    const box = h("input", { type: "checkbox", id: "shortcuts-on" });
    box.checked = localStorage.getItem(KEYS_ARE_OFF) === null;
    box.addEventListener("change", () => {
      if (box.checked) localStorage.removeItem(KEYS_ARE_OFF);
      else localStorage.setItem(KEYS_ARE_OFF, "1");
    });
    this.box = box;
    const rows = Object.entries(keys).flatMap(([key, { words }]) => [
      h("dt", {}, h("kbd", {}, key.toUpperCase())),
      h("dd", {}, t(words)),
    ]);
    const choice = h("label", { for: box.id }, box, " ", t("shortcut.on"));
    this.node = h("details", { class: "shortcuts" }, h("summary", {}, t("shortcut.title")), h("dl", { class: "facts" }, rows), choice);
    addEventListener("keydown", (event) => this.#press(event), { signal: left });
    addEventListener("keyup", (event) => this.#find(event)?.release?.(), { signal: left });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const shortcut = this.#find(event);
    if (shortcut === undefined || event.repeat || !this.box.checked) return;
    event.preventDefault();
    shortcut.press();
  }

  /** @param {KeyboardEvent} event */
  #find({ key, target, ctrlKey, altKey, metaKey }) {
    const isTyping = target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select");
    return isTyping || ctrlKey || altKey || metaKey ? undefined : this.keys[key.toLowerCase()];
  }
}

/**
 * A name for a file that is kept: what door, and when by the reader's own clock.
 * @param {string} name @param {number} ms @param {string} extension
 */
export function fileName(name, ms, extension) {
  const door = name.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[^\w]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString();
  return `${door || "door"}-${local.slice(0, 19).replace("T", "-").replaceAll(":", "")}.${extension}`;
}
