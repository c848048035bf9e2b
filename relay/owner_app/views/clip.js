/**
 * The page of one recording, with those before and after it. It comes from the doorbell itself,
 * never by the relay.
 * @module
 */
import { choicesOf } from "../clip_choices.js";
import { ClipReader } from "../clips.js";
import { fill, h } from "../dom.js";
import { goesOn, triggersOf, whenOf } from "../event_groups.js";
import { durationText, t, time } from "../i18n.js";
import { ClipActions } from "./clip_actions.js";
import { ClipStage } from "./clip_stage.js";
import { doubt, eventText, triggerText } from "./events.js";
import { unknownDoorbell } from "./history.js";
import { guarded, living } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").ClipEvent} ClipEvent */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */

/** Less before a trigger than this is nothing to speak of. */
const SOON_MS = 500;

/** What a doorbell keeps from before a trigger, if nothing else is set. */
const USUAL_PRE_ROLL_MS = 6000;

/** How far back a recording is looked for of which the newest events don't tell. */
const MAX_PAGES = 20;
const PAGE = 200;

/** @param {Context} context */
export async function clipPage(context) {
  const { household, parts } = context;
  const [device, clipId] = parts;
  const clip = await find(context, device, clipId);
  if (clip === undefined) {
    const isKnown = household.doorbell(device) !== undefined;
    const why = isKnown ? [h("p", { id: "no-such-clip" }, t("clip.unknown")), allClips()] : unknownDoorbell();
    return { title: t("clip.title"), body: why };
  }
  const told = toldOf(household, clip);
  const triggers = triggersOf(household.history, told);
  const what = goesOn(household.history, told) ? t("event.goes_on") : triggerText(triggers);
  return {
    title: what ?? t("clip.title"),
    isWide: true,
    body: [
      h("p", { class: "muted" }, time(whenOf(told).ms, "second"), ` · ${durationText(clip.body.duration_ms)}`, doubt(triggers[0] ?? told)),
      stageOrGone(context, clip),
      living(context, () => [neighbours(household, clip)]),
      ...facts(household, clip, triggers),
      allClips(),
    ],
  };
}

/** Looks for it, further and further back. @param {Context} context @param {string} device @param {string} clipId */
async function find({ household, left }, device, clipId) {
  const among = () => household.allClips.find((found) => found.device === device && found.body.clip_id === clipId);
  if (among() === undefined) await household.heard();
  if (household.doorbell(device) === undefined) return undefined;
  for (let page = 0; page < MAX_PAGES && among() === undefined && !household.isComplete && !left.aborted; page += 1) {
    await household.loadOlder(PAGE);
  }
  return among();
}

/** Plays it; once it is deleted, what can be done about that stands in its place. @param {Context} context @param {ClipEvent} clip */
function stageOrGone(context, clip) {
  const { household, ready, left } = context;
  const place = h("div", { id: "clip-place" });
  const actions = new ClipActions(context, clip);
  let end = () => {};
  left.addEventListener("abort", () => end());
  const play = () => {
    const reader = new ClipReader(ready, clip.device);
    const stage = new ClipStage(context, reader, clip, (file) => actions.use(file));
    end = () => stage.end();
    fill(place, stage.node, actions.node, toNeighbours(context, clip, stage));
    void stage.show();
  };
  let isGone = /** @type {boolean | null} */ (null);
  const draw = () => {
    const now = choicesOf(household).isGone(clip.device, clip.body.clip_id);
    if (now === isGone) return;
    isGone = now;
    end();
    if (now) fill(place, actions.node);
    else play();
  };
  draw();
  household.addEventListener("change", draw, { signal: left });
  return place;
}

/** An owner's way to show neighbours what is seen now; a guest only watches. @param {Context} context @param {ClipEvent} clip @param {ClipStage} stage */
function toNeighbours({ household }, { device }, stage) {
  if (household.doorbell(device)?.guest) return null;
  const said = h("p", { class: "muted", role: "status" });
  const show = async () => {
    const { offerVideo } = await import("../feed_draft.js");
    if (stage.video !== null && (await offerVideo(household.owner.credential_id, stage.video))) location.hash = "#/neighbours/write";
    else fill(said, t("live.no_picture_yet"));
  };
  return h("div", {}, h("button", { class: "quiet", id: "to-neighbours", onclick: guarded(said, show) }, t("clip.to_neighbours")), said);
}

/** The recordings before and after it, at the same door. @param {import("../household.js").Household} household @param {ClipEvent} clip */
function neighbours(household, clip) {
  const choices = choicesOf(household);
  const isShown = (/** @type {ClipEvent} */ { device, body }) => body.clip_id === clip.body.clip_id || !choices.isGone(device, body.clip_id);
  const all = household.allClips.filter((one) => one.device === clip.device && isShown(one));
  const at = all.findIndex((one) => one.body.clip_id === clip.body.clip_id);
  if (at === all.length - 1 && !household.isComplete) household.loadOlder(PAGE).catch((error) => console.warn("older events", error));
  const link = (/** @type {ClipEvent | undefined} */ to, /** @type {"earlier" | "later"} */ way) =>
    to === undefined
      ? h("span", { class: "button", "aria-disabled": "true" }, t(`clip.${way}`))
      : h("a", { class: "button", id: `clip-${way}`, href: `#/history/${to.device}/${to.body.clip_id}` }, t(`clip.${way}`), h("span", { class: "muted" }, time(whenOf(toldOf(household, to)).ms)));
  return h("nav", { class: "neighbours", "aria-label": t("clip.neighbours") }, link(all[at + 1], "earlier"), link(all[at - 1], "later"));
}

/** @param {import("../household.js").Household} household @param {ClipEvent} clip @param {ReportedEvent[]} triggers @returns {Node[]} */
function facts(household, clip, triggers) {
  const { pre_roll_ms, is_cut_short } = clip.body;
  const before = goesOn(household.history, toldOf(household, clip)) ? t("clip.goes_on") : preRollText(pre_roll_ms, triggers[0]);
  const nodes = [
    triggers.length > 0 && h("ul", { id: "triggers" }, triggers.map(triggerItem)),
    h("p", { class: "muted" }, before),
    is_cut_short && h("p", { class: "muted" }, t("clip.cut_short_help")),
  ];
  return nodes.filter((node) => node !== false);
}

/** @param {import("../household.js").Household} household @param {ClipEvent} clip */
function toldOf(household, clip) {
  return /** @type {ReportedEvent} */ (household.told.get(clip.id));
}

function allClips() {
  return h("p", {}, h("a", { href: "#/history" }, t("clip.back")));
}

/** @param {number} preRollMs @param {ReportedEvent | undefined} first what set the clip off, if it is known */
function preRollText(preRollMs, first) {
  const type = first?.event.body.type;
  const what = type === "pressed" ? "ring" : (type ?? "trigger");
  if (preRollMs < SOON_MS) return t(`clip.no_pre_roll.${what}`);
  const text = t(`clip.pre_roll.${what}`, { duration: durationText(preRollMs) });
  return preRollMs < USUAL_PRE_ROLL_MS ? `${text} ${t("clip.pre_roll_short")}` : text;
}

/** @param {ReportedEvent} told */
function triggerItem(told) {
  return h("li", {}, `${eventText(told.event)}, `, time(whenOf(told).ms, "second"));
}
