/**
 * The page of pairing: the code for the doorbell's camera, then four words that only the doorbell
 * shows, each to be found among four.
 *
 * Whether the words are the doorbell's, the person alone tells, by tapping them. The relay may call a
 * pairing done whenever it likes: no key counts as compared before the fourth tap.
 * @module
 */
import { ownerKeys, rememberKeys } from "../account.js";
import { nameField } from "./browsers.js";
import { creditFold } from "./credit.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { pause } from "../pause.js";
import { WireError } from "../vendor/protocol/encoding.js";
import { SecondAnswer, newOffer, takeAnswer } from "../vendor/protocol/pairing.js";
import { problem } from "./parts.js";
import { findsWords, otherPolicy, showStoppedForToday, warning } from "./four_taps.js";
import { qrFigure } from "./qr_picture.js";
import { addWrongTap, hasTooManyWrongTaps } from "../wrong_taps.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/pairing.js").Answered} Answered */
/** @typedef {import("../vendor/protocol/pairing.js").Offer} Offer */

const STAGES = ["pair.stage1", "pair.stage2", "pair.stage3", "pair.stage4"];
const LOOK_EVERY_MS = 1000;
const LIFE_MS = 10 * 60 * 1000;

/** The ten minutes of a code are over. */
class CodeOver extends Error {}

/** @param {Context} context */
export async function pairPage(context) {
  const place = h("div");
  if (hasTooManyWrongTaps(context.household.owner)) fill(place, showStoppedForToday());
  else await begin(context, place);
  return { title: t("pair.title"), body: [place] };
}

/** Shows a new code. @param {Context} context @param {HTMLElement} place */
async function begin(context, place) {
  const { relay, household } = context;
  const ended = new AbortController();
  const offer = await newOffer({ owner: await ownerKeys(household.owner) });
  await relay.post("pairings", { pairing_id: offer.pairing_id });
  const anew = async () => {  // the name is part of what the code stands for
    ended.abort();
    await begin(context, place);
  };
  fill(place, stages(0), showCode(offer.code), nameField(context, anew));
  const left = AbortSignal.any([context.left, ended.signal]);
  pair({ ...context, left }, offer, place).catch(async (error) => {
    if (!left.aborted) fill(place, explained(error), again());
    if (error instanceof WireError) await endAtDoorbell(relay, offer);
  });
}

/** @param {Context} context @param {Offer} offer @param {HTMLElement} place */
async function pair(context, offer, place) {
  const { relay, household, left } = context;
  const endsAt = Date.now() + LIFE_MS;
  const answered = await reaches(context, offer, () => offer.answered !== null, endsAt);
  if (answered === null || offer.answered === null) return;
  await relay.post(`pairings/${offer.pairing_id}/reveal`, { reveal: offer.answered.reveal });
  if (!(await findsWords(place, offer.answered, lead(offer.answered)))) return stop(context, offer, place);
  if ((await reaches(context, offer, () => true, endsAt)) === null) return;  // a second one may have come meanwhile
  const { device, answer } = offer.answered;
  const { identity_key, sealing_key } = answer;
  rememberKeys(device, { identity_key, sealing_key });
  fill(place, stages(2), otherPolicy(context.policy, offer.answered), showFound(offer.answered));
  const paired = await reaches(context, offer, ({ state }) => state === "paired", endsAt + LIFE_MS);
  if (paired === null) return;
  await household.load();
  fill(place, showPaired(device), creditFold(context));
}

/**
 * Follows a pairing until it has come so far, or the page is left. Each answer is looked at: with a
 * second, other one the pairing is over.
 * @param {Context} context @param {Offer} offer
 * @param {(told: {state: string}) => boolean} isIt @param {number} endsAt
 */
async function reaches({ relay, left }, offer, isIt, endsAt) {
  while (!left.aborted) {
    const told = await relay.get(`pairings/${offer.pairing_id}`);
    for (const { answer, signature } of told.answers) await takeAnswer(offer, { answer, signature });
    if (isIt(told)) return told;
    if (Date.now() > endsAt) throw new CodeOver();
    await pause(LOOK_EVERY_MS, left);
  }
  return null;
}

/** A wrong word ends both sides. @param {Context} context @param {Offer} offer @param {HTMLElement} place */
async function stop({ relay, household }, offer, place) {
  addWrongTap(household.owner);
  fill(place, hasTooManyWrongTaps(household.owner) ? showStoppedForToday() : showDifferent());
  await endAtDoorbell(relay, offer);
}

/** @param {Context["relay"]} relay @param {Offer} offer */
async function endAtDoorbell(relay, offer) {
  await relay.delete(`pairings/${offer.pairing_id}`).catch((error) => console.warn("the doorbell's side", error));
}

/** @param {unknown} error */
function explained(error) {
  if (error instanceof SecondAnswer) return warning("second-answer", t("pair.second_answer"));
  return error instanceof CodeOver ? warning("code-over", t("pair.over")) : problem(error);
}

/** What pairing takes, each step said before it comes. @param {number} now */
function stages(now) {
  const items = STAGES.map((key, at) => h("li", { class: at < now ? "done" : undefined, "aria-current": at === now && "step" }, t(key)));
  return h("ol", { class: "stages", "aria-label": t("pair.stages") }, items);
}

/** @param {string} text */
function showCode(text) {
  return [
    h("p", { class: "lead" }, t("pair.show")),
    h(
      "ol",
      { class: "steps" },
      ["pair.step1", "pair.step2", "pair.step3"].map((key) => h("li", {}, t(key))),
    ),
    qrFigure(text, { id: "pair-qr", label: t("pair.qr_label") }),
    h("p", { class: "muted", role: "status" }, t("pair.waiting")),
  ];
}

/** @param {Answered} answered */
function lead({ answer }) {
  const owned = answer.is_recovery && h("div", { class: "notice" }, h("p", {}, t("pair.is_recovery")));
  return [stages(1), h("p", { class: "lead" }, t("pair.find")), owned];
}

/** @param {Answered} answered whose words were found */
function showFound({ answer }) {
  const register = answer.register_origin;
  const [before, number] = answer.is_recovery
    ? ["pair.before_recovery", "pair.number_recovery"]
    : ["pair.before", "pair.number"];
  return [
    h("p", { class: "lead", id: "words-found", role: "status" }, t("pair.found")),
    h("ol", { class: "steps" }, h("li", {}, `${t("pair.press")} ${t(before)}`), h("li", {}, t(number))),
    h("p", { class: "muted" }, register ? t("pair.register", { register }) : t("pair.no_register")),
    h("p", { class: "muted" }, t("pair.door_waiting")),
  ];
}

function showDifferent() {
  return [
    warning("words-differ", t("pair.stopped")),
    h("p", {}, t("pair.stopped_help")),
    again(),
  ];
}

/** It ends with a picture from the door. @param {string} device */
function showPaired(device) {
  const heading = document.querySelector("h1");
  if (heading !== null) fill(heading, t("pair.done_title"));
  const see = h("a", { class: "button primary", id: "see-door", href: `#/live/${device}` }, icon("see"), t("pair.see"));
  return [
    h("div", { class: "notice", id: "paired", role: "status" }, h("p", {}, t("pair.done"))),
    h("div", { class: "actions" }, see, h("a", { class: "button", id: "to-door", href: "#/" }, t("pair.to_door"))),
  ];
}

function again() {
  return h("button", { class: "primary", onclick: () => location.reload() }, t("error.again"));
}
