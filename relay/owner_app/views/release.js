/**
 * The release screen: a short, plain letter. Who asks, for what, exactly which recordings, who
 * could open them, and two answers that weigh the same. Ignoring it is the first thing named.
 * @module
 */
import { decisionOn, rememberDecision } from "../account.js";
import { ClipReader } from "../clips.js";
import { fill, h } from "../dom.js";
import { currentLocale, durationText, spanText, t, time, timeText, tn } from "../i18n.js";
import { STATEMENT_LIFE_MS, sendStatement } from "../statements.js";
import { sha256Hex, unb64u } from "../vendor/protocol/encoding.js";
import { checkRequest, requestDigest } from "../vendor/protocol/requests.js";
import { clipPlayer, guarded, living } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {import("../vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("../vendor/protocol/documents.js").Agency} Agency */
/** @typedef {{request: EvidenceRequest, digest: string, agency: Agency, device: string | undefined, state: string}} Asked */

const MAX_CLIPS = 16;

/** @param {Context} context */
export async function releasePage(context) {
  const { household, relay, parts } = context;
  const { signed, agency, state } = await relay.get(`requests/${parts[0]}`);
  if (!household.isLoaded) await household.load();
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
  const redraw = () => {
    const earlier = decisionOn(asked.request.id);
    if (earlier === "refused") fill(place, refused(asked, redraw));
    else if (earlier !== null) {
      const restart = () => {
        rememberDecision(asked.request.id, null);
        redraw();
      };
      fill(place, living(context, () => statementProgress(household, earlier.digest, restart)));
    } else fill(place, letter(context, asked, fingerprint, redraw));
  };
  redraw();
  return [place];
}

/**
 * @param {Context} context
 * @param {Asked} asked
 * @param {string} fingerprint
 * @param {() => void} redraw
 */
function letter(context, asked, fingerprint, redraw) {
  const { household, relay, config, left } = context;
  const device = asked.device ?? "";
  const { inside, partly } = clipsAsked(household.clips, asked);
  const reader = new ClipReader(relay, device, config.ice_servers);
  left.addEventListener("abort", () => reader.close());
  const place = h("div", { "aria-live": "polite" });
  /** @type {Set<ClipEvent>} */
  const chosen = new Set();
  const summary = h("p", { id: "chosen", role: "status" }, chosenText(chosen));
  const choose = (/** @type {ClipEvent} */ clip, /** @type {boolean} */ isChosen) => {
    if (isChosen) chosen.add(clip);
    else chosen.delete(clip);
    fill(summary, chosenText(chosen));
  };
  const give = guarded(place, async () => {
    if (chosen.size === 0) {
      fill(place, h("p", { class: "warn-text", role: "alert" }, t("release.choose_first")));
      return;
    }
    await sign(context, asked, [...chosen]);
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
      ["release.sound", t("release.no_sound")],
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

/** @param {Context} context @param {Asked} asked @param {ClipEvent[]} clips */
async function sign({ household }, { request, digest, agency, device = "" }, clips) {
  const inOrder = clips.toSorted((a, b) => a.body.started_ms - b.body.started_ms).slice(0, MAX_CLIPS);
  const sent = await sendStatement(household, device, {
    kind: "grant",
    request_digest: digest,
    clips: inOrder.map(({ body }) => ({
      clip_id: body.clip_id,
      manifest_digest: body.manifest_digest,
      from_ms: body.started_ms,
      to_ms: body.started_ms + body.duration_ms,
    })),
    has_audio: false,
    recipient: { agency: agency.id, sealing_keys: agency.sealing_keys },
  });
  rememberDecision(request.id, {
    digest: sent,
    device,
    clip_ids: inOrder.map(({ body }) => body.clip_id),
    signed_ms: Date.now(),
  });
}

/** @param {ClipEvent[]} clips @param {Asked} asked */
function clipsAsked(clips, { request, device }) {
  const own = clips.filter((clip) => clip.device === device);
  const end = (/** @type {ClipEvent} */ { body }) => body.started_ms + body.duration_ms;
  const touching = own.filter(
    (clip) => clip.body.started_ms < request.to_ms && end(clip) > request.from_ms,
  );
  const inside = touching.filter(
    (clip) => clip.body.started_ms >= request.from_ms && end(clip) <= request.to_ms,
  );
  return { inside: inside.reverse(), partly: touching.length - inside.length };
}

/**
 * @param {Context} context @param {ClipReader} reader @param {ClipEvent} clip
 * @param {(clip: ClipEvent, isChosen: boolean) => void} choose
 */
function clipRow(context, reader, clip, choose) {
  const { clip_id, started_ms, duration_ms } = clip.body;
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
        h("span", { class: "muted" }, durationText(duration_ms)),
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
