/**
 * The release screen: a short, plain letter. Who asks, for what, exactly which recordings, who
 * could open them, and two answers that weigh the same. Ignoring it is the first thing named.
 * @module
 */
import { decisionOn, rememberDecision } from "../account.js";
import { MAX_CLIPS, clipsAsked, grantTerms } from "../asked.js";
import { ClipReader } from "../clips.js";
import { fill, h } from "../dom.js";
import { triggersOf } from "../happenings.js";
import { currentLocale, durationText, spanText, t, time, timeText, tn } from "../i18n.js";
import { STATEMENT_LIFE_MS, sendStatement } from "../statements.js";
import { sha256Hex, unb64u } from "../vendor/protocol/encoding.js";
import { checkRequest, requestDigest } from "../vendor/protocol/requests.js";
import { doubt, whatSetOff } from "./events.js";
import { clipPlayer, guarded, living } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {import("../happenings.js").Told} Told */
/** @typedef {import("../vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("../vendor/protocol/documents.js").Agency} Agency */
/** @typedef {{request: EvidenceRequest, digest: string, agency: Agency, device: string | undefined, state: string}} Asked */

/** @param {Context} context */
export async function releasePage(context) {
  const { household, relay, parts } = context;
  const { signed, agency, state } = await relay.get(`requests/${parts[0]}`);
  await household.heard();
  const request = await checkRequest(signed, agency);
  const digest = await requestDigest(signed);
  await household.loadBackTo(request.from_ms);
  /** @type {Asked} */
  const asked = { request, digest, agency, state, device: household.matches.get(request.id) };
  const fingerprint = (await sha256Hex(unb64u(agency.sealing_keys[0]))).slice(0, 16);
  return {
    title: t("release.title", { agency: agency.name }),
    body: [
      h(
        "article",
        { class: "letter", id: "release" },
        h("p", { class: "first", "data-testid": "may-ignore" }, t("release.ignore")),
        whoAsks(asked),
        ...decision(context, asked, fingerprint),
      ),
    ],
  };
}

/** @param {Asked} asked */
function whoAsks({ request, agency }) {
  const sharing = t(`release.sharing_${request.onward_sharing}`);
  return [
    h("p", {}, t("release.asks", { agency: agency.name, span: spanText(request.from_ms, request.to_ms) })),
    h("blockquote", {}, request.text),
    terms([
      ["release.case", request.case_number],
      ["release.incident", t(`incident.${request.incident_type}`)],
      ["release.officer", `${request.officer_name}, ${request.contact}`],
      ["release.keep", t("release.days", { days: request.retention_days })],
      ["release.share", sharing],
      ["release.until", time(request.expires_ms)],
    ]),
    h("p", { class: "ok muted" }, t("release.officer_checked", { agency: agency.name })),
  ];
}

/** @param {Context} context @param {Asked} asked @param {string} fingerprint */
function decision(context, asked, fingerprint) {
  const { household } = context;
  if (asked.device === undefined) return [h("p", { class: "notice" }, t("release.not_yours"))];
  if (asked.state !== "open") return [h("p", { class: "notice" }, t("release.over"))];
  const place = h("div");
  const redraw = (/** @type {Node | null} */ words = null) => {
    const earlier = decisionOn(asked.request.id);
    if (earlier === "refused") fill(place, refused(asked, redraw));
    else if (earlier !== null) {
      const restart = () => {
        rememberDecision(asked.request.id, null);
        redraw();
      };
      fill(place, living(context, () => statementProgress(household, earlier.digest, restart)));
    } else fill(place, letter(context, asked, fingerprint, redraw, words));
  };
  redraw();
  return [place];
}

/**
 * @param {Context} context
 * @param {Asked} asked
 * @param {string} fingerprint
 * @param {(words?: Node) => void} redraw
 * @param {Node | null} words said under the two buttons
 */
function letter(context, asked, fingerprint, redraw, words) {
  const { household, ready, left } = context;
  const device = asked.device ?? "";
  const { inside, partly } = clipsAsked(household, asked);
  const reader = new ClipReader(ready, device);
  left.addEventListener("abort", () => reader.close());
  const place = h("div", { "aria-live": "polite" }, words);
  /** @type {Set<ClipEvent>} */
  const chosen = new Set();
  const summary = h("p", { id: "chosen", role: "status" }, chosenText(chosen));
  const choose = (/** @type {ClipEvent} */ clip, /** @type {boolean} */ isChosen) => {
    if (isChosen) chosen.add(clip);
    else chosen.delete(clip);
    fill(summary, chosenText(chosen));
  };
  const sound = h("input", { type: "checkbox", id: "with-sound" });
  const give = guarded(place, async () => {
    const clips = [...chosen];
    const why = whyNot(clips);
    if (why !== null) return fill(place, why);
    if (!clips.every((clip) => household.isNewest(clip))) {
      reader.close();
      return redraw(no(t("release.changed"))); // what is signed is what was read
    }
    await sign(context, asked, clips, { withSound: sound.checked });
    redraw();
  });
  const refuse = () => {
    rememberDecision(asked.request.id, "refused");
    redraw();
  };
  return [
    h("h2", {}, t("release.which")),
    inside.length
      ? h("ul", { class: "rows clips" }, inside.map((clip) => clipRow(context, reader, clip, choose)))
      : h("p", { class: "empty" }, t("release.no_clips")),
    partly > 0 && h("p", { class: "muted" }, tn("release.partly", partly)),
    h("h2", {}, t("release.who_opens")),
    terms([
      ["release.only", t("release.only_agency", { agency: asked.agency.name })],
      ["release.key", h("span", { class: "digest" }, fingerprint)],
      ["release.sound", soundChoice(sound)],
      ["release.signature", t("release.holds", { time: timeText(Date.now() + STATEMENT_LIFE_MS, "clock") })],
      ["release.back", t("release.no_way_back")],
    ]),
    summary,
    h(
      "div",
      { class: "choice" },
      h("button", { id: "refuse", onclick: refuse }, t("release.refuse")),
      h("button", { id: "give", onclick: give }, t("release.give")),
    ),
    place,
    h("p", { class: "muted" }, t("release.next")),
  ];
}

/** Sound leaves only if it is asked for: it may hold the voices of others. @param {HTMLInputElement} box */
function soundChoice(box) {
  return h(
    "span",
    {},
    h("label", { for: "with-sound" }, box, t("release.with_sound")),
    h("span", { class: "muted" }, t("release.no_sound")),
  );
}

/** Says why these can't be given. @param {ClipEvent[]} clips */
function whyNot({ length: count }) {
  if (count === 0) return no(t("release.choose_first"));
  return count > MAX_CLIPS ? no(t("release.too_many", { most: MAX_CLIPS, count })) : null;
}

/** @param {string} words */
function no(words) {
  return h("p", { class: "warn-text", role: "alert" }, words);
}

/** @param {Context} context @param {Asked} asked @param {ClipEvent[]} clips @param {{withSound: boolean}} choice */
async function sign({ household }, asked, clips, choice) {
  const { device = "" } = asked;
  const terms = grantTerms(household, asked, clips, choice);
  const digest = await sendStatement(household, device, terms);
  rememberDecision(asked.request.id, {
    digest,
    device,
    clip_ids: terms.clips.map(({ clip_id }) => clip_id),
    signed_ms: Date.now(),
  });
}

/**
 * @param {Context} context @param {ClipReader} reader @param {ClipEvent} clip
 * @param {(clip: ClipEvent, isChosen: boolean) => void} choose
 */
function clipRow(context, reader, clip, choose) {
  const { clip_id, duration_ms, is_cut_short } = clip.body;
  const { household } = context;
  const started_ms = household.startOf(clip);
  const told = /** @type {Told} */ (household.told.get(clip.id));
  const triggers = triggersOf(household.history, told);
  const detail = [whatSetOff(triggers), durationText(duration_ms), is_cut_short && t("clip.cut_short")];
  const box = h("input", {
    type: "checkbox",
    "data-testid": "choose-clip",
    value: clip_id,
    onchange: () => choose(clip, box.checked),
  });
  return h(
    "li",
    { "data-testid": "asked-clip", "data-clip": clip_id },
    h(
      "label",
      { class: "grow sentence" },
      box,
      h(
        "span",
        {},
        h("strong", {}, spanWithSeconds(started_ms, duration_ms)),
        h("span", { class: "muted" }, detail.filter(Boolean).join(" · "), doubt(triggers[0] ?? told)),
      ),
    ),
    clipPlayer(context, reader, clip),
  );
}

/** @param {number} from @param {number} duration */
function spanWithSeconds(from, duration) {
  const format = /** @type {Intl.DateTimeFormatOptions} */ ({
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return new Intl.DateTimeFormat(currentLocale(), format).formatRange(from, from + duration);
}

/** @param {Set<ClipEvent>} chosen */
function chosenText(chosen) {
  if (chosen.size === 0) return t("release.chosen_none");
  const sum = [...chosen].reduce((total, { body }) => total + body.duration_ms, 0);
  return t("release.chosen", { count: chosen.size, duration: durationText(sum) });
}

/** @param {Asked} asked @param {() => void} redraw */
function refused(asked, redraw) {
  const undo = () => {
    rememberDecision(asked.request.id, null);
    redraw();
  };
  return [
    h("div", { class: "notice", id: "refused-by-me", role: "status" }, h("p", {}, t("release.refused"))),
    h("button", { class: "quiet", onclick: undo }, t("release.reconsider")),
  ];
}

/** @param {[string, string | Node][]} rows */
function terms(rows) {
  const pairs = rows.map(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]);
  return h("dl", { class: "terms" }, pairs);
}
