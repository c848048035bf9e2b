/**
 * The second screen of a release: which recordings of the asked time are given, which part of each,
 * and whether their sound is. Nothing is ticked beforehand.
 * @module
 */
import { MAX_CLIPS, requestedClips } from "../grant_terms.js";
import { ClipReader } from "../clips.js";
import { fill, h } from "../dom.js";
import { durationText, t } from "../i18n.js";
import { RequestedClip } from "./requested_clip.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../pictures.js").Picture} Picture */

export class Choice {
  /**
   * @param {Context} context @param {Asked} asked
   * @param {(clip: ReportedEvent) => Promise<Picture | null>} pictureOf
   */
  constructor(context, asked, pictureOf) {
    this.context = context;
    this.asked = asked;
    this.pictureOf = pictureOf;
    this.reader = new ClipReader(context.ready, asked.device);
    context.left.addEventListener("abort", () => this.reader.close());
    /** @type {RequestedClip[]} */
    this.rows = [];
    this.list = h("ul", { class: "rows clips" });
    this.news = h("div", { role: "alert" });
    this.summary = h("p", { id: "chosen", role: "status" });
    this.sound = new SoundChoice();
    this.node = h("div", {}, this.news, this.list, h("h3", {}, t("release.sound")), this.sound.node, this.summary);
    this.#offer();
  }

  /** @returns {RequestedClip[]} in the order of time */
  get chosen() {
    return this.rows.filter((row) => row.isChosen).toSorted((a, b) => a.span.from_ms - b.span.from_ms);
  }

  /** Says why what is chosen can't be given as it is; null if it can. @returns {string | null} */
  whyNot() {
    const count = this.chosen.length;
    if (this.#isOutdated()) {
      this.#offer();
      fill(this.news, h("p", { class: "warn-text" }, t("release.changed"))); // what is signed is what was read
      return t("release.changed");
    }
    if (count === 0) return t("release.choose_first");
    return count > MAX_CLIPS ? t("release.too_many", { most: MAX_CLIPS, count }) : null;
  }

  /** Ends the session with the doorbell: nothing more is watched. */
  close() {
    this.reader.close();
  }

  /** Whether the doorbell told of what is chosen anew, or doesn't have it any more. */
  #isOutdated() {
    return !this.chosen.every(({ clip }) => this.context.household.isNewest(clip));
  }

  /** Offers what there is now; nothing of it is chosen. */
  #offer() {
    this.reader.close();
    this.reader = new ClipReader(this.context.ready, this.asked.device);
    this.rows = requestedClips(this.context.household, this.asked).map(
      (offered) =>
        new RequestedClip(this.context, offered, this.asked.request, {
          reader: this.reader,
          pictureOf: this.pictureOf,
          onChange: () => this.#look(),
          onOpen: (opened) => this.rows.forEach((row) => row !== opened && row.fold()),
        }),
    );
    fill(this.news);
    fill(this.list, this.rows.map(({ node }) => node));
    this.list.hidden = this.rows.length === 0;
    if (this.rows.length === 0) fill(this.news, h("p", { class: "empty" }, t("release.no_clips")));
    this.#look();
  }

  #look() {
    const { chosen } = this;
    fill(this.summary, chosenText(chosen));
    this.sound.look(chosen);
  }
}

/** Sound leaves only if it is asked for: it may hold the voices of others. */
class SoundChoice {
  constructor() {
    this.box = h("input", { type: "checkbox", id: "with-sound", "aria-describedby": "about-sound" });
    this.words = h("span", { class: "muted", id: "about-sound", role: "status" });
    this.node = h("p", {}, h("label", { for: "with-sound" }, this.box, t("release.with_sound")), this.words);
  }

  get isGiven() {
    return this.box.checked;
  }

  /** There is nothing to choose where none has sound, as far as all that are chosen were fetched. @param {RequestedClip[]} chosen */
  look(chosen) {
    const isMute = chosen.length > 0 && chosen.every(({ hasSound }) => hasSound === false);
    this.box.disabled = isMute;
    if (isMute) this.box.checked = false;
    fill(this.words, t(isMute ? "release.mute" : "release.no_sound"));
  }
}

/** @param {RequestedClip[]} chosen */
function chosenText(chosen) {
  if (chosen.length === 0) return t("release.chosen_none");
  const sum = chosen.reduce((total, { span }) => total + span.to_ms - span.from_ms, 0);
  return t("release.chosen", { count: chosen.length, duration: durationText(sum) });
}
