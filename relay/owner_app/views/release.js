/**
 * The page of a request, in three screens: who asks and why, what to give, and what that means. No,
 * hold and ignore stand below all three and weigh the same; giving stands on the third alone. Once
 * something is signed, one screen says what to do next (released_clips.js).
 *
 * Nothing can be given here but to a request that the doorbell itself read in the public register:
 * its digest, the agency's name and whether it is an emergency come in the doorbell's own sealed
 * note, and what the relay shows must be the same.
 *
 * What is fetched for this page is the same for every request, whether a doorbell was asked or not:
 * also the pictures that the second screen shows.
 *
 * Which screen it is stands in the browser's history, so that its Back leads a screen back; an
 * address alone always leads to the first.
 * @module
 */
import { ApiError } from "../api.js";
import { decisionsOn } from "../account.js";
import { answerOf } from "../decision_notes.js";
import { PackageStates } from "../package_states.js";
import { fetchRequests, loadBackForAll } from "../published_requests.js";
import { compare } from "../request_comparison.js";
import { segmented } from "../components/controls.js";
import { fill, h } from "../dom.js";
import { grantTerms, requestedClips } from "../grant_terms.js";
import { triggersOf } from "../event_groups.js";
import { t, timeWithin } from "../i18n.js";
import { rememberDecision } from "../sent_decisions.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { letterTitle } from "../vendor/protocol/letter.js";
import { apart } from "../vendor/protocol/plain_text.js";
import { checkRequest } from "../vendor/protocol/requests.js";
import { Choice } from "./choice.js";
import { IdentityChoice, consequences } from "./consequences.js";
import { letter } from "./letter.js";
import { AnswerBar, declineOnly, whatAnswersMean } from "./other_decisions.js";
import { guarded, terms } from "./parts.js";
import { SignedRelease } from "./released_clips.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../grant_terms.js").Asked} Asked */
/** @typedef {import("../decision_notes.js").Match} Match */
/** @typedef {import("../event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {import("../pictures.js").Picture} Picture */
/** @typedef {import("../published_requests.js").Item} Item */
/** @typedef {import("../vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("../vendor/protocol/documents.js").Agency} Agency */
/** @typedef {1 | 2 | 3} Screen */

const SCREENS = 3;
/** Of the recordings that all open requests ask for. */
const MOST_PICTURES = 120;
/** A browser's timer takes no more. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/** @param {Context} context */
export async function releasePage(context) {
  const { household, relay, parts } = context;
  const [requestId] = parts;
  const packages = new PackageStates(context);
  const [items] = await Promise.all([fetchRequests(relay), household.heard()]);
  await loadBackForAll(household, items);
  const pictureOf = picturesOf(context, items);
  const item = items.find((one) => one.request.id === requestId);
  if (item === undefined) throw new ApiError(404, "not_found", "the relay lists no such request");
  const { signed, digest, agency, state } = item;
  const request = await checkRequest(signed, agency);
  const shown = { request, digest, agency };
  const { same, different } = compare(household, requestId, shown);
  if (different.length > 0) return somethingElse(context, shown, different);
  const about = { packages, pictureOf, isOver: state !== "open" };
  const doors = same.map((match) => new DoorRelease(context, { ...shown, device: match.device }, about));
  return {
    title: letterTitle(request, agency.name, t),
    body: [
      h(
        "article",
        { class: request.danger ? "letter emergency" : "letter", id: "release" },
        h("p", { class: "first", "data-testid": "may-ignore" }, t("release.ignore")),
        same.some(({ is_example }) => is_example) && h("p", { class: "notice", "data-testid": "invented-town" }, t("release.example")),
        same.some(({ is_reminder }) => is_reminder) && h("p", { class: "muted", id: "reminder" }, t("release.reminder")),
        doors.length ? doorsOf(context, doors) : [letter(shown), h("p", { class: "notice" }, t("release.not_yours"))],
      ),
    ],
  };
}

/**
 * Fetches the pictures of the recordings in the times that any open request asks for, of every
 * doorbell: the same whichever request is read, and whether a doorbell was asked or not.
 * @param {Context} context @param {Item[]} items
 * @returns {(clip: ReportedEvent) => Promise<Picture | null>}
 */
function picturesOf({ household, pictures }, items) {
  const open = items.filter(({ state }) => state === "open");
  const clips = open.flatMap(({ request }) =>
    household.doorbells.flatMap(({ device }) => requestedClips(household, { request, device }).map(({ clip }) => clip.id)),
  );
  const { history } = household;
  /** @type {Map<string, Promise<Picture | null>>} */
  const coming = new Map();
  for (const id of [...new Set(clips)].slice(0, MOST_PICTURES)) {
    const told = /** @type {ReportedEvent} */ (household.told.get(id));
    const pictured = [told, ...triggersOf(history, told)].find(({ has_thumbnail }) => has_thumbnail);
    if (pictured !== undefined) coming.set(id, pictures.get(pictured));
  }
  return ({ event: { id } }) => coming.get(id) ?? Promise.resolve(null);
}

/** One door, or the choice among several. @param {Context} context @param {DoorRelease[]} doors */
function doorsOf({ household }, doors) {
  const [only] = doors;
  if (doors.length === 1) return only.node;
  const place = h("div", {}, only.node);
  const options = doors.map(({ asked: { device } }) => ({ value: device, text: household.doorbell(device)?.name ?? device }));
  const onchange = (/** @type {string} */ device) => {
    const door = /** @type {DoorRelease} */ (doors.find(({ asked }) => asked.device === device));
    fill(place, door.node);
    door.restart();
  };
  return [segmented({ name: "door", legend: t("release.door"), options, value: only.asked.device, onchange }), place];
}

/** The three screens of a request at one door. */
class DoorRelease {
  /**
   * @param {Context} context @param {Asked} asked
   * @param {{packages: PackageStates, pictureOf: (clip: ReportedEvent) => Promise<Picture | null>, isOver: boolean}} about
   */
  constructor(context, asked, { packages, pictureOf, isOver }) {
    this.context = context;
    this.asked = asked;
    this.packages = packages;
    this.pictureOf = pictureOf;
    this.isOver = isOver;
    /** @type {Choice | null} made when its screen is first shown */
    this.choice = null;
    this.identity = new IdentityChoice(context.household.owner.name);
    this.bar = new AnswerBar(context, asked);
    this.screen = h("section", { class: "screen" });
    this.node = h("div", { "data-device": asked.device });
    this.away = h("div");
    this.others = h("div");
    this.shown = "";
    this.#look();
    const { household, left } = context;
    household.addEventListener("change", () => this.#look(), { signal: left });
    addEventListener("popstate", () => this.#moved(), { signal: left });
    this.#endInTime();
  }

  /** Begins with the first screen, as another door's does. */
  restart() {
    history.replaceState({ screen: 1 }, "");
    this.#show(1);
  }

  #moved() {
    const isHere = this.node.isConnected && location.hash.includes(this.asked.request.id);
    if (isHere) this.#show(screenOf(history.state));
  }

  get #isEnded() {
    return this.isOver || this.asked.request.expires_ms <= nowMs();
  }

  /** Shows the screens until something is given, and then how that goes; what is being filled in stays. */
  #look() {
    const { device, digest } = this.asked;
    const { grant } = decisionsOn(device, digest);
    const now = grant?.digest ?? "nothing";
    if (now === this.shown) {
      this.#lookAway();
      return this.#lookAtOthers();
    }
    this.shown = now;
    if (grant !== undefined) {
      this.choice?.close();
      this.choice = null;
      const { node } = new SignedRelease(this.context, this.asked, grant.digest, this.packages);
      fill(this.node, node);
      return node.focus({ preventScroll: true });
    }
    fill(this.node, this.screen, this.bar.node);
    this.#show(screenOf(history.state));
  }

  /** @param {Screen} screen */
  #show(screen) {
    if (this.shown !== "nothing") return;
    if (this.#isEnded) return this.#showEnd();
    const wanted = screen === 3 && (this.choice === null || this.choice.chosen.length === 0) ? 2 : screen;
    this.screen.dataset.screen = String(wanted);
    const heading = h("h2", { tabindex: -1 }, t(`release.screen_${wanted}`));
    const back = h("button", { class: "quiet", id: "back", onclick: () => history.back() }, t("release.screen_back"));
    const at = h("p", { class: "muted at" }, t("release.screen_at", { screen: wanted, all: SCREENS }), wanted > 1 && back);
    fill(this.away);
    fill(this.screen, at, heading, this.away, this.others, this.#content(wanted));
    this.#lookAway();
    this.#lookAtOthers();
    this.#goOn(wanted);
    if (wanted === 1) return;
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  /** @param {Screen} screen */
  #content(screen) {
    if (screen === 1) return [letter(this.asked), whatAnswersMean(this.context, this.asked)];
    this.choice ??= new Choice(this.context, this.asked, this.pictureOf);
    return screen === 2 ? this.choice.node : consequences(this.asked, this.choice, this.identity);
  }

  /** @param {Screen} screen */
  #goOn(screen) {
    const { said } = this.bar;
    if (screen === 3) return this.bar.goOn(h("button", { id: "give", onclick: guarded(said, () => this.#give()) }, t("release.give")));
    const next = () => {
      const why = screen === 2 ? (this.choice?.whyNot() ?? null) : null;
      if (why !== null) return fill(said, no(why));
      const to = /** @type {Screen} */ (screen + 1);
      history.pushState({ screen: to }, "");
      this.#show(to);
    };
    this.bar.goOn(h("button", { id: "next", onclick: next }, t("release.next_screen")));
  }

  async #give() {
    const { household } = this.context;
    const { device, digest } = this.asked;
    const choice = /** @type {Choice} */ (this.choice);
    if (this.#isEnded) return this.#showEnd();
    const unchosen = choice.whyNot();
    if (unchosen !== null) {
      history.back(); // to the second screen, which says why
      return;
    }
    const why = this.identity.whyNot();
    if (why !== null) return fill(this.bar.said, no(why));
    const granted = grantTerms(this.asked, choice.chosen, { withSound: choice.sound.isGiven, identity: this.identity.given });
    const signed = await sendStatement(household, device, granted);
    rememberDecision(device, digest, "grant", { digest: signed, signed_ms: nowMs() });
    history.replaceState({ screen: 1 }, "");
    household.dispatchEvent(new CustomEvent("change"));
    scrollTo(0, 0);
  }

  /** Nothing is given any more, and no answer is left to give. */
  #showEnd() {
    this.choice?.close();
    const heading = h("h2", { tabindex: -1 }, t("release.screen_1"));
    fill(this.screen, h("p", { class: "notice", id: "is-over", role: "status" }, t("release.over")), heading, letter(this.asked));
    fill(this.node, this.screen);
  }

  /** Says so where the doorbell can't be reached: no and hold reach it later, recordings can't be watched. */
  #lookAway() {
    const bell = this.context.household.doorbell(this.asked.device);
    const isAway = bell?.state === "offline";
    if (isAway === this.away.hasChildNodes()) return;
    fill(this.away, isAway && h("p", { class: "notice warning", id: "door-away", role: "status" }, t("release.away", { time: timeWithin(bell?.since_ms ?? 0) })));
  }

  /** Says what another owner answered, whenever that comes: each may decide all the same. */
  #lookAtOthers() {
    const { device, digest } = this.asked;
    const isOwn = decisionsOn(device, digest).decline !== undefined;
    const answer = answerOf(this.context.household, device, digest);
    const words = answer === null || (isOwn && answer === "declined") ? "" : t(`release.others_${answer}`);
    if (words === this.others.textContent) return;
    fill(this.others, words && h("p", { class: "notice", id: "others-answer", role: "status" }, words));
  }

  /** Ends the screens when the request does, whichever is shown. */
  #endInTime() {
    const wait = this.asked.request.expires_ms - nowMs();
    if (this.isOver || wait <= 0) return;
    const timer = setTimeout(() => {
      if (!this.#isEnded) this.#endInTime();
      else if (this.shown === "nothing") this.#showEnd();
    }, Math.min(wait, LONGEST_WAIT_MS));
    this.context.left.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }
}

/** @param {any} state of the browser's history @returns {Screen} */
function screenOf(state) {
  return [2, 3].includes(state?.screen) ? state.screen : 1;
}

/** @param {string} words */
function no(words) {
  return h("p", { class: "warn-text", role: "alert" }, words);
}

/**
 * The relay shows something else than the doorbell read: nothing can be given.
 * @param {Context} context @param {{request: EvidenceRequest, agency: Agency}} shown @param {Match[]} different
 */
function somethingElse(context, { request, agency }, different) {
  const [match] = different;
  return {
    title: t("release.different_title"),
    body: [
      h(
        "div",
        { class: "warning", id: "different", role: "alert" },
        h("p", {}, t("release.different")),
        terms([
          ["release.doorbell_read", saidBy(match.agency_name, match.is_emergency)],
          ["release.relay_shows", saidBy(agency.name, request.danger !== "")],
        ]),
        h("p", {}, t("release.different_help")),
      ),
      ...different.map(({ device, request_digest }) => declineOnly(context, { device, digest: request_digest })),
    ],
  };
}

/** @param {string} agency @param {boolean} isEmergency */
function saidBy(agency, isEmergency) {
  return isEmergency ? `${apart(agency)}, ${t("requests.emergency")}` : agency;
}
