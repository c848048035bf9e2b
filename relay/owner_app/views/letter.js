/**
 * The form in a request's letter: an owner chooses recordings, their ranges, sound and identity,
 * and signs once for all.
 * @module
 */
import { rememberDecision } from "../account.js";
import { MAX_CLIPS, requestedClips, grantTerms } from "../grant_terms.js";
import { ClipReader } from "../clips.js";
import { fill, h } from "../dom.js";
import { durationText, t, timeText } from "../i18n.js";
import { STATEMENT_LIFE_MS, sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { IDENTITY_CHARS, NO_IDENTITY } from "../vendor/protocol/decisions.js";
import { sha256Hex, unb64u } from "../vendor/protocol/encoding.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { RequestedClip } from "./requested_clip.js";
import { guarded, terms } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../vendor/protocol/documents.js").IdentityGiven} IdentityGiven */

const FINGERPRINT_CHARS = 16;

/** @param {Context} context @param {Asked} asked @param {Node[]} others the answers beside giving, which weigh the same */
export function letter(context, asked, others) {
  const place = h("div");
  draw(context, asked, { place, others, words: null });
  return [place];
}

/**
 * @param {Context} context @param {Asked} asked
 * @param {{place: HTMLElement, others: Node[], words: Node | null}} how `words` are said under the button
 */
function draw(context, asked, { place, others, words }) {
  const { household, ready, left } = context;
  const reader = new ClipReader(ready, asked.device);
  left.addEventListener("abort", () => reader.close());
  const said = h("div", { "aria-live": "polite" }, words);
  const summary = h("p", { id: "chosen", role: "status" });
  const rows = requestedClips(household, asked).map(
    (offered) => new RequestedClip(context, reader, offered, asked.request, () => look()),
  );
  const sound = new SoundChoice();
  const look = () => {
    fill(summary, chosenText(rows));
    sound.look(rows.filter((row) => row.isChosen));
  };
  look();
  const identity = new IdentityChoice(household.owner.name);
  const give = guarded(said, async () => {
    const chosen = rows.filter((row) => row.isChosen);
    const why = whyNot(chosen.length) ?? identity.whyNot();
    if (why !== null) return fill(said, no(why));
    if (!chosen.every(({ clip }) => household.isNewest(clip))) {
      reader.close();
      const words = no(t("release.changed")); // what is signed is what was read
      return draw(context, asked, { place, others, words });
    }
    const choice = { withSound: sound.isGiven, identity: identity.given };
    const granted = grantTerms(asked, chosen, choice);
    const digest = await sendStatement(household, asked.device, granted);
    reader.close();
    rememberDecision(asked.device, asked.digest, "grant", { digest, signed_ms: nowMs() });
    household.dispatchEvent(new CustomEvent("change"));
  });
  fill(
    place,
    h("h2", {}, t("release.which")),
    rows.length
      ? [h("p", { class: "muted" }, t("release.which_help")), h("ul", { class: "rows clips" }, rows.map(({ node }) => node))]
      : h("p", { class: "empty" }, t("release.no_clips")),
    h("h2", {}, t("release.who_opens")),
    terms([
      ["release.only", whoOpens(asked)],
      ["release.sound", sound.node],
      ["release.about_you", identity.node],
      ["release.log", t("release.log_help")],
      ["release.signature", t("release.holds", { time: timeText(nowMs() + STATEMENT_LIFE_MS, "clock") })],
      ["release.back", t("release.way_back")],
    ]),
    h("h2", {}, t("answer.title")),
    h("p", {}, t("answer.ignore")),
    summary,
    h(
      "div",
      { class: "choice answers" },
      h("div", { class: "answer" }, h("button", { id: "give", onclick: give }, t("release.give")), h("p", { class: "muted" }, t("release.next")), said),
      others,
    ),
  );
}

/** Every key that could open it, and nobody else. @param {Asked} asked */
function whoOpens({ agency }) {
  const keys = h("ul", { class: "keys", id: "keys" });
  void Promise.all(agency.sealing_keys.map((key) => sha256Hex(unb64u(key)))).then((digests) =>
    fill(keys, digests.map((digest) => h("li", { class: "digest" }, digest.slice(0, FINGERPRINT_CHARS)))),
  );
  const words = t("release.only_agency", { agency: agency.name });
  return h("div", {}, h("p", {}, words), keys, h("p", { class: "muted" }, t("release.nobody_else")));
}

/** Sound leaves only if it is asked for: it may hold the voices of others. */
class SoundChoice {
  constructor() {
    this.box = h("input", { type: "checkbox", id: "with-sound", "aria-describedby": "about-sound" });
    this.words = h("span", { class: "muted", id: "about-sound", role: "status" });
    this.node = h("span", {}, h("label", { for: "with-sound" }, this.box, t("release.with_sound")), this.words);
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

/** What of themselves an owner gives: nothing, unless each is ticked and filled in. */
class IdentityChoice {
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

/** Says why so many can't be given. @param {number} count @returns {string | null} */
function whyNot(count) {
  if (count === 0) return t("release.choose_first");
  return count > MAX_CLIPS ? t("release.too_many", { most: MAX_CLIPS, count }) : null;
}

/** @param {string} words */
function no(words) {
  return h("p", { class: "warn-text", role: "alert" }, words);
}

/** @param {RequestedClip[]} rows */
function chosenText(rows) {
  const chosen = rows.filter(({ isChosen }) => isChosen);
  if (chosen.length === 0) return t("release.chosen_none");
  const sum = chosen.reduce((total, { span }) => total + span.to_ms - span.from_ms, 0);
  return t("release.chosen", { count: chosen.length, duration: durationText(sum) });
}
