/**
 * The page of live view: the picture, the session's state, and its controls. The parts are in
 * live_*.js here; what they do to the session is in ../live*.js.
 * @module
 */
import { guestTimes } from "../account.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { LiveSession } from "../live.js";
import { LiveControl } from "../live_control.js";
import { ConnectionDetails } from "./live_details.js";
import { DoorMicrophone } from "./live_microphone.js";
import { refusal } from "./live_refusal.js";
import { QuickReplies } from "./live_replies.js";
import { TalkPanel } from "./live_talk.js";
import { Awake, IdleControls, PictureTools, Shortcuts } from "./live_tools.js";
import { ViewerList } from "./live_viewers.js";
import { nowMs } from "../town_time.js";
import { guarded, known } from "./parts.js";
import { liveLimitNotice } from "./live_limits.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../live.js").LiveState} LiveState */
/** @typedef {import("../live_control.js").DoorState} DoorState */

/** A line that breaks is tried again by itself, so often in a row. */
const TRIES = 2;
const RETRY_MS = 1000;
/** A call that ends so near its time has ended by its time. */
const NEAR_END_MS = 5000;

/** @param {Context} context */
export async function livePage(context) {
  const begunMs = performance.now();
  const device = context.parts[0] ?? "";
  context.ready.prepare(device); // meanwhile, where one comes from a notification
  await known(context.household);
  const page = new LivePage(context, device);
  page.watch(begunMs);
  void context.installed.endRing(device);
  return {
    title: context.household.doorbell(device)?.name ?? t("live.title"),
    isTitleHidden: true,
    body: page.body(),
  };
}

/** Whether a guest's time here is over: the relay may have taken the doorbell away by now. @param {import("../household.js").Household} household @param {string} device */
function isGuestsTimeOver(household, device) {
  const bell = household.doorbell(device);
  const known = guestTimes(household.owner)[device];
  return (bell === undefined || bell.guest != null) && known !== undefined && known.until_ms <= nowMs();
}

class LivePage {
  /** @param {Context} context @param {string} device */
  constructor(context, device) {
    this.context = context;
    this.device = device;
    /** @type {LiveSession | null} */
    this.session = null;
    this.failures = 0;
    this.video = h("video", { id: "live", autoplay: true, playsinline: "", "aria-label": t("live.picture") });
    this.video.muted = true;
    this.status = h("p", { class: "state", role: "status", id: "live-state" }, t("live.asking"));
    this.place = h("div", { id: "live-problem" });
    this.reach = h("div");
    this.again = h("button", { class: "primary", id: "live-again", hidden: true }, t("live.again"));
    this.again.addEventListener("click", () => this.watch(performance.now()));
    this.screen = h("section", { class: "live", id: "live-screen", "data-state": "asking" });
    this.talk = new TalkPanel(this.video);
    this.replies = new QuickReplies(device);
    this.microphone = new DoorMicrophone();
    this.watching = new ViewerList();
    this.details = new ConnectionDetails();
    this.awake = new Awake();
    const name = context.household.doorbell(device)?.name ?? "";
    this.tools = new PictureTools(this.screen, this.video, name);
    this.idle = new IdleControls(this.screen, context.left);
    this.video.poster = lastPicture(context, device); // until the door's own comes
    this.shortcuts = new Shortcuts({ ...this.tools.shortcuts, ...this.talk.shortcuts }, context.left);
    context.left.addEventListener("abort", () => this.#leave());
  }

  /** An owner's way to show neighbours what is seen now; a guest only watches. */
  #toNeighbours() {
    if (this.context.household.doorbell(this.device)?.guest) return null;
    const show = async () => {
      const { offerVideo } = await import("../feed_draft.js");
      if (await offerVideo(this.context.household.owner.credential_id, this.video)) location.hash = "#/neighbours/write";
      else fill(this.tools.words, t("live.no_picture_yet"));
    };
    return h("button", { id: "to-neighbours", onclick: guarded(this.tools.words, show) }, t("live.to_neighbours"));
  }

  body() {
    const name = this.context.household.doorbell(this.device)?.name ?? t("live.title");
    const done = h("a", { class: "button", id: "live-done", href: "#/" }, t("live.done"));
    const more = h("div", { class: "live-panel", id: "live-panel", hidden: true }, h("div", { class: "live-buttons" }, this.talk.line, this.tools.more, this.#toNeighbours()), this.microphone.node, this.details.node, this.shortcuts.node);
    const opener = h("button", { id: "live-more", "aria-expanded": "false", "aria-controls": more.id }, t("live.more"));
    opener.addEventListener("click", () => {
      more.hidden = !more.hidden;
      opener.setAttribute("aria-expanded", String(!more.hidden));
    });
    fill(
      this.screen,
      this.video,
      h("div", { class: "live-head" }, h("div", { class: "live-says" }, h("p", {}, name), this.status, this.watching.list), done),
      h("div", { class: "live-words" }, this.watching.question, this.reach, this.place, this.again),
      h(
        "div",
        { class: "live-controls", role: "group", "aria-label": t("live.controls") },
        this.details.stream,
        this.talk.words,
        this.tools.words,
        this.replies.panel,
        h(
          "div",
          { class: "live-tools" },
          more,
          h("div", { class: "live-buttons" }, this.talk.hear, this.replies.button, this.tools.snapshot, opener),
        ),
        this.talk.node,
      ),
    );
    return [this.screen];
  }

  /** Opens a session, and shows it. @param {number} begunMs when it was asked for */
  async watch(begunMs) {
    this.session?.close();
    this.again.hidden = true; // it is offered when there is something to mend
    this.screen.dataset.state = "asking";
    fill(this.place);
    const { ready, relay, left } = this.context;
    try {
      const call = await ready.call(this.device, "live");
      if (left.aborted) return;
      fill(this.reach, liveLimitNotice(call.reach));
      const session = (this.session = new LiveSession(relay, call));
      session.onState = (state) => session === this.session && this.#tell(state);
      session.onRefused = (error) => session === this.session && this.#refuse(error);
      this.#attach(session, begunMs);
      await session.start();
    } catch (error) {
      console.warn(error);
      if (!left.aborted) this.#refuse(error);
    }
  }

  /** @param {LiveSession} session @param {number} begunMs */
  #attach(session, begunMs) {
    const { video } = this;
    const control = new LiveControl(session.control);
    video.srcObject = session.stream;
    video.requestVideoFrameCallback(() => {
      const ms = Math.round(performance.now() - begunMs);
      video.dataset.firstFrameMs = String(ms);
      this.details.firstFrame(ms);
    });
    control.onState = (state) => this.#show(state);
    control.onReplies = (replies) => this.replies.show(replies);
    control.onError = (reason, detail) => {
      if (!this.replies.failed(reason, detail) && !this.details.failed(reason)) this.talk.failed(reason, detail);
    };
    this.talk.attach(session, control);
    this.replies.attach(control);
    this.microphone.attach(control);
    this.watching.attach(control);
    this.details.attach(session, control);
  }

  /** @param {DoorState} state */
  #show(state) {
    this.watching.show(state);
    this.talk.show(state);
    this.microphone.show(state);
    this.details.show(state);
  }

  /** @param {LiveState} state */
  #tell(state) {
    const isOver = state === "lost" || state === "hung_up";
    if (state === "closed") return; // what led to it has been told
    this.status.classList.toggle("on", state === "connected");
    this.screen.dataset.state = state;
    if (state === "connected") {
      this.failures = 0;
      fill(this.reach);
      this.awake.keep();
      if (this.context.query.has("talk")) this.talk.focus();
      this.context.ready.prepare(this.device); // the next call costs one round trip as well
    }
    const isEnded = state === "hung_up" && this.watching.isNearEnd(NEAR_END_MS);
    fill(this.status, t(isEnded ? "live.timed_out" : `live.${state}`));
    if (isOver) this.#over(state, isEnded);
  }

  /** @param {LiveState} state @param {boolean} isEnded */
  #over(state, isEnded) {
    const { session } = this;
    this.#detach();
    session?.close();
    if (state === "lost" && session?.answer && this.failures < TRIES) {
      this.failures += 1;
      fill(this.status, t("live.trying"));
      return this.#tryAgain(session);
    }
    this.again.hidden = false;
    if (state === "hung_up" && isGuestsTimeOver(this.context.household, this.device)) {
      fill(this.status, t("live.refused.right_over"));
      return fill(this.place, h("p", { id: "guest-time-over" }, t("live.refused.right_over_help")));
    }
    if (!isEnded) fill(this.place, h("p", {}, t(`live.${state}_help`)), liveLimitNotice(session?.call.reach, true));
  }

  /** In a moment, or once somebody looks: a locked phone needn't see the door. @param {LiveSession} lost */
  #tryAgain(lost) {
    const { left } = this.context;
    const now = () => this.session === lost && !left.aborted && this.watch(performance.now());
    if (document.visibilityState === "visible") setTimeout(now, RETRY_MS);
    else document.addEventListener("visibilitychange", now, { once: true, signal: left });
  }

  /** @param {unknown} error */
  #refuse(error) {
    this.#detach();
    this.status.classList.remove("on");
    this.screen.dataset.state = "refused";
    fill(this.status, t("live.refused"));
    fill(this.reach);
    const { node, canTryAgain } = refusal(error, this.device);
    fill(this.place, node);
    this.again.hidden = !canTryAgain;
  }

  /** Nothing is heard and nobody talks any more; the last picture stays. */
  #detach() {
    this.talk.detach();
    this.replies.detach();
    this.microphone.detach();
    this.watching.detach();
    this.details.detach();
    this.awake.release();
  }

  #leave() {
    this.#keepFrame();
    this.#detach();
    this.session?.close();
    if (document.pictureInPictureElement === this.video) document.exitPictureInPicture().catch(() => {});
  }

  /** The last frame is the door's last picture on the first page, as long as this window is open. */
  #keepFrame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width === 0 || this.screen.dataset.state !== "connected") return;
    const [takenMs, canvas] = [nowMs(), h("canvas", { width, height })];
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    const { pictures, household } = this.context;
    const keep = (/** @type {Blob | null} */ jpeg) => {
      if (jpeg === null) return;
      pictures.keepFrame(this.device, jpeg, takenMs);
      household.dispatchEvent(new Event("change"));
    };
    canvas.toBlob(keep, "image/jpeg");
  }
}

/** The picture of this door that is here already, newest first; none if there is none. @param {Context} context @param {string} device */
function lastPicture({ household, pictures }, device) {
  const told = household.history.find(({ event, has_thumbnail }) => event.device === device && has_thumbnail);
  const known = told && pictures.find(told);
  const frame = pictures.lastFrame(device);
  if (known?.state !== "shown" || (frame !== undefined && frame.takenMs > known.takenMs)) return frame?.url ?? "";
  return known.url;
}
