/**
 * Thumbnails on a page: fetched once they come into view, in a box of fixed size.
 * @module
 */
import { fill, h, mark } from "../dom.js";
import { whenOf } from "../event_groups.js";
import { dateText, durationText, t } from "../i18n.js";
import { ageBeside } from "../pictures.js";
import { OLD_AFTER_MS } from "../vendor/protocol/thumbnails.js";

/** @typedef {import("../event_groups.js").EventGroup} EventGroup */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../pictures.js").Picture} Picture */

/** Of what is older than that, the day is said. */
const LONG_AGO_MS = 3600_000;

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
   * @param {EventGroup} happening @param {string} what it shows, for those who don't see it
   */
  of({ kind, told, others }, what) {
    if (kind !== "pressed" && kind !== "motion" && kind !== "clip_ready") return null;
    return this.box([told, ...others].find(({ has_thumbnail }) => has_thumbnail), what, told);
  }

  /**
   * @param {ReportedEvent | undefined} told the event that has a picture @param {string} what
   * @param {ReportedEvent | undefined} shown the event whose time stands beside it
   */
  box(told, what, shown = told) {
    const place = h("div", { class: "thumb" }, mark());
    if (told === undefined || shown === undefined) return place;
    const known = this.pictures.find(told);
    if (known !== undefined) show(place, known, what, shown);
    else {
      this.waiting.set(place, () => void this.#get(place, told, what, shown));
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

  /** @param {Element} place @param {ReportedEvent} told @param {string} what @param {ReportedEvent} shown */
  async #get(place, told, what, shown) {
    const picture = await this.pictures.get(told);
    if (picture !== null) show(place, picture, what, shown);
  }
}

/** @param {Element} place @param {Picture} picture @param {string} what @param {ReportedEvent} shown */
function show(place, picture, what, shown) {
  if (picture.state !== "shown") {
    fill(place, h("p", { "data-testid": `thumb-${picture.state}` }, t(`thumb.${picture.state}`)));
    return;
  }
  const age = ageText(picture, shown);
  const image = h("img", { src: picture.url, alt: [t("thumb.alt", { what }), age?.long].filter(Boolean).join(". "), decoding: "async" });
  fill(place, image, age && h("p", { class: "age", "aria-hidden": "true", title: age.long }, age.short));
}

/**
 * What is to be said of when a picture was taken: that it is older than what stands beside it, or,
 * where that time isn't sure, when it was by the doorbell's own word.
 * @param {Picture & {state: "shown"}} picture @param {ReportedEvent} shown
 */
export function ageText(picture, shown) {
  const ms = ageBeside(picture, shown);
  if (whenOf(shown).dating !== "sure" || ms > LONG_AGO_MS) {
    const time = dateText(picture.takenMs);
    return { short: t("thumb.taken", { time }), long: t("thumb.taken_then", { time }) };
  }
  if (ms <= OLD_AFTER_MS) return null;
  const duration = durationText(ms);
  return { short: t("thumb.age", { duration }), long: t("thumb.before", { duration }) };
}
