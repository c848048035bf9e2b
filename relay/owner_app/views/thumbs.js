/**
 * Pictures of events on a page: fetched once they come into view, in a box of fixed size.
 * @module
 */
import { fill, h, mark } from "../dom.js";
import { durationText, t } from "../i18n.js";
import { OLD_AFTER_MS } from "../vendor/protocol/thumbnails.js";

/** @typedef {import("../happenings.js").Happening} Happening */
/** @typedef {import("../happenings.js").Told} Told */
/** @typedef {import("../pictures.js").Picture} Picture */

/** Begins to fetch a little before it is seen. */
const MARGIN = "200px";

export class Thumbs {
  /** @param {import("../app.js").Context} context */
  constructor({ pictures, left }) {
    this.pictures = pictures;
    /** @type {WeakMap<Element, () => void>} */
    this.waiting = new WeakMap();
    this.observer = new IntersectionObserver((seen) => this.#come(seen), { rootMargin: MARGIN });
    left.addEventListener("abort", () => this.observer.disconnect());
  }

  /**
   * The box of a ring, a movement or a recording; nothing for what the camera doesn't see.
   * @param {Happening} happening @param {string} what it shows, for those who don't see it
   */
  of({ kind, told, others }, what) {
    if (kind !== "pressed" && kind !== "motion" && kind !== "clip_ready") return null;
    return this.box([told, ...others].find(({ has_thumbnail }) => has_thumbnail), what);
  }

  /** @param {Told | undefined} told the event that has a picture @param {string} what */
  box(told, what) {
    const place = h("div", { class: "thumb" }, mark());
    if (told === undefined) return place;
    const known = this.pictures.find(told);
    if (known !== undefined) show(place, known, what);
    else {
      this.waiting.set(place, () => void this.#get(place, told, what));
      this.observer.observe(place);
    }
    return place;
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #come(seen) {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      this.observer.unobserve(target);
      this.waiting.get(target)?.();
    }
  }

  /** @param {Element} place @param {Told} told @param {string} what */
  async #get(place, told, what) {
    const picture = await this.pictures.get(told);
    if (picture !== null) show(place, picture, what);
  }
}

/** @param {Element} place @param {Picture} picture @param {string} what */
function show(place, picture, what) {
  if (picture.state !== "shown") {
    fill(place, h("p", { "data-testid": `thumb-${picture.state}` }, t(`thumb.${picture.state}`)));
    return;
  }
  const isOld = picture.ageMs > OLD_AFTER_MS;
  const age = isOld ? t("thumb.before", { duration: durationText(picture.ageMs) }) : "";
  const image = h("img", { src: picture.url, alt: [t("thumb.alt", { what }), age].filter(Boolean).join(". "), decoding: "async" });
  fill(place, image, isOld && h("p", { class: "age", "aria-hidden": "true", title: age }, t("thumb.age", { duration: durationText(picture.ageMs) })));
}
