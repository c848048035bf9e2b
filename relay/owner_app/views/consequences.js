/**
 * The third screen of a release: what would leave and who could open it, what of themselves an
 * owner gives with it, and how it is taken back. Keys and proofs are folded away.
 * @module
 */
import { fill, h } from "../dom.js";
import { durationText, t, timeText } from "../i18n.js";
import { STATEMENT_LIFE_MS } from "../statements.js";
import { nowMs } from "../town_time.js";
import { IDENTITY_CHARS, NO_IDENTITY } from "../vendor/protocol/decisions.js";
import { sha256Hex, unb64u } from "../vendor/protocol/encoding.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { longer } from "./film_strip.js";
import { terms } from "./parts.js";
import { dayOf, spanWithSeconds } from "./requested_clip.js";

/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../vendor/protocol/documents.js").IdentityGiven} IdentityGiven */
/** @typedef {import("./choice.js").Choice} Choice */
/** @typedef {import("./requested_clip.js").RequestedClip} RequestedClip */

const FINGERPRINT_CHARS = 16;

/** @param {Asked} asked @param {Choice} choice @param {IdentityChoice} identity */
export function consequences(asked, choice, identity) {
  const { chosen, sound } = choice;
  const { name } = asked.agency;
  return [
    h("ul", { class: "rows leaving", id: "leaving" }, chosen.map(leaves)),
    terms([
      ["release.only", t("release.only_agency", { agency: name })],
      ["release.sound", t(sound.isGiven ? "release.sound_given" : "release.sound_not_given")],
      ["release.about_you", identity.node],
      ["release.back", t("release.way_back")],
      ["release.then", t("release.next")],
    ]),
    h(
      "details",
      { id: "protected" },
      h("summary", {}, t("release.protected")),
      terms([
        ["release.keys", whoOpens(asked)],
        ["release.log", t("release.log_help")],
        ["release.signature", t("release.holds", { time: timeText(nowMs() + STATEMENT_LIFE_MS, "clock") })],
      ]),
    ),
  ];
}

/** One recording as it would leave. @param {RequestedClip} row */
function leaves({ span, strip, firstPicture }) {
  const duration = durationText(span.to_ms - span.from_ms);
  const words = strip === null ? t("release.unwatched") : longer(strip.numbers);
  const picture = h("span", { class: "thumb" });
  if (firstPicture !== null) fill(picture, copyOf(firstPicture));
  return h(
    "li",
    { "data-testid": "leaving" },
    picture,
    h("div", { class: "grow" }, h("strong", {}, spanWithSeconds(span)), h("span", { class: "muted" }, `${dayOf(span)} · ${duration}. ${words}`)),
  );
}

/** @param {HTMLCanvasElement} shown */
function copyOf(shown) {
  const canvas = h("canvas", { role: "img", "aria-label": t("release.first_alt") });
  [canvas.width, canvas.height] = [shown.width, shown.height];
  canvas.getContext("2d")?.drawImage(shown, 0, 0);
  return canvas;
}

/** Every key that could open it, and nobody else. @param {Asked} asked */
function whoOpens({ agency }) {
  const keys = h("ul", { class: "keys", id: "keys" });
  void Promise.all(agency.sealing_keys.map((key) => sha256Hex(unb64u(key)))).then((digests) =>
    fill(keys, digests.map((digest) => h("li", { class: "digest" }, digest.slice(0, FINGERPRINT_CHARS)))),
  );
  return h("div", {}, h("p", {}, t("release.sealed_to", { agency: agency.name })), keys, h("p", { class: "muted" }, t("release.nobody_else")));
}

/** What of themselves an owner gives: nothing, unless each is ticked and filled in. */
export class IdentityChoice {
  /** @param {string} ownName filled in once it is ticked */
  constructor(ownName) {
    const fields = /** @type {(keyof IdentityGiven)[]} */ (Object.keys(NO_IDENTITY));
    this.fields = fields.map((name) => {
      const box = h("input", { type: "checkbox", id: `give-${name}` });
      const label = t(`release.identity_${name}`);
      const input = h("input", { id: `identity-${name}`, hidden: true, maxlength: IDENTITY_CHARS[name], "aria-label": label });
      box.addEventListener("change", () => {
        input.hidden = !box.checked;
        if (box.checked && name === "name") input.value ||= ownName;
        if (box.checked) input.focus();
      });
      return { name, box, input, label };
    });
    const rows = this.fields.map(({ box, input, label }) => [h("label", { for: box.id }, box, label), input]);
    this.node = h("div", { id: "identity" }, rows, h("span", { class: "muted" }, t("release.identity_help")));
  }

  /** @returns {IdentityGiven} */
  get given() {
    const given = { ...NO_IDENTITY };
    for (const { name, box, input } of this.fields) given[name] = box.checked ? withoutMisleading(input.value).trim() : "";
    return given;
  }

  /** Says which field is ticked and empty. @returns {string | null} */
  whyNot() {
    const empty = this.fields.find(({ box, input }) => box.checked && withoutMisleading(input.value).trim() === "");
    return empty === undefined ? null : t("release.identity_empty", { what: empty.label });
  }
}
