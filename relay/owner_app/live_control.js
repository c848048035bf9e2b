/**
 * The data channel "control" of a live session: requested settings and reported state.
 *
 * The doorbell's words there are in firmware/live/control_channel.py. What it says is read strictly: a
 * message that isn't one of its words is left out.
 * @module
 */
import { isCount, isText, jsonOf } from "./channel_json.js";

/** @typedef {{name: string, browser: string, since_ms: number, is_you: boolean}} Watcher */
/** @typedef {"main" | "small" | "key_frames" | "clip" | "none"} Stream */
/** @typedef {"off" | "on" | "none"} DoorMicrophone */
/** @typedef {"none" | "hold" | "open_line"} TalkManner how this viewer may talk at the door */
/**
 * How things stand for this viewer.
 * @typedef {object} DoorState
 * @property {number} ends_in_s
 * @property {Stream} stream
 * @property {string | null} why the stream isn't the main one
 * @property {DoorMicrophone} microphone
 * @property {TalkManner} talk
 * @property {string | null} talker
 * @property {Watcher[]} watching
 */
/** @typedef {{id: string, name: string, kind: "recording" | "speech"}} QuickReply */
/** @typedef {{type: "state"} & DoorState | {type: "replies", replies: QuickReply[]} | {type: "error", reason: string, detail: string}} Said */

const MAX_SAID_CHARACTERS = 16 * 1024;
const MAX_WISHES_WAITING = 8;

export class LiveControl {
  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.channel = channel;
    /** @type {string[]} wishes from before the channel was open */
    this.waiting = [];
    /** @type {(state: DoorState) => void} */
    this.onState = () => {};
    /** @type {(replies: QuickReply[]) => void} */
    this.onReplies = () => {};
    /** @type {(reason: string, detail: string) => void} */
    this.onError = () => {};
    channel.addEventListener("open", () => this.waiting.splice(0).forEach((text) => channel.send(text)));
    channel.addEventListener("message", ({ data }) => this.#hear(data));
  }

  /** Somebody is still there. */
  renew() {
    this.#wish({ type: "renew" });
  }

  /** @param {"auto" | "small"} want */
  wantQuality(want) {
    this.#wish({ type: "quality", want });
  }

  /** @param {boolean} isOn @param {boolean} isOpenLine */
  talk(isOn, isOpenLine) {
    this.#wish({ type: "talk", is_on: isOn, is_open_line: isOpenLine });
  }

  /** @param {boolean} isOn */
  listen(isOn) {
    this.#wish({ type: "listen", is_on: isOn });
  }

  /** For everybody; on is at the doorbell's own page only. */
  turnMicrophoneOff() {
    this.#wish({ type: "microphone", is_on: false });
  }

  askForReplies() {
    this.#wish({ type: "replies" });
  }

  /** @param {string} id */
  reply(id) {
    this.#wish({ type: "reply", id });
  }

  /** @param {object} wish */
  #wish(wish) {
    const text = JSON.stringify(wish);
    if (this.channel.readyState === "open") this.channel.send(text);
    else if (this.waiting.length < MAX_WISHES_WAITING) this.waiting.push(text);
  }

  /** @param {unknown} data */
  #hear(data) {
    const said = parseChannelMessage(data);
    if (said === null) return console.warn("the doorbell said what isn't known here");
    if (said.type === "state") this.onState(said);
    else if (said.type === "replies") this.onReplies(said.replies);
    else this.onError(said.reason, said.detail);
  }
}

/** Returns what a message says, or null if it isn't one of the words. @param {unknown} data @returns {Said | null} */
export function parseChannelMessage(data) {
  const said = jsonOf(data, MAX_SAID_CHARACTERS);
  if (said?.type === "state" && isState(said)) return said;
  if (said?.type === "replies" && Array.isArray(said.replies) && said.replies.every(isReply)) return said;
  if (said?.type === "error" && isText(said.reason) && isText(said.detail)) return said;
  return null;
}

/** @param {any} said */
function isState(said) {
  return (
    isCount(said.ends_in_s) &&
    ["main", "small", "key_frames", "clip", "none"].includes(said.stream) &&
    (said.why === null || isText(said.why)) &&
    ["off", "on", "none"].includes(said.microphone) &&
    ["none", "hold", "open_line"].includes(said.talk) &&
    (said.talker === null || isText(said.talker)) &&
    Array.isArray(said.watching) &&
    said.watching.every(isWatcher)
  );
}

/** @param {any} watcher */
function isWatcher(watcher) {
  const { name, browser, since_ms, is_you } = watcher ?? {};
  return isText(name) && isText(browser) && isCount(since_ms) && typeof is_you === "boolean";
}

/** @param {any} reply */
function isReply(reply) {
  return isText(reply?.id) && isText(reply.name) && ["recording", "speech"].includes(reply.kind);
}
