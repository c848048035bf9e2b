/**
 * The client of a doorbell's quick replies, over the data channel "replies" of a session without
 * live view. The doorbell's words there are in firmware/live/reply_channel.py; what it says is
 * read strictly. One change at a time, the next one waits; each is answered by the whole list.
 * @module
 */
import { LiveSession } from "./live.js";
import { isCount, isText, jsonOf } from "./channel_json.js";

/** @typedef {{id: string, name: string, kind: "recording" | "speech", text: string, language: "en" | "sv"}} KeptReply */
/**
 * What the doorbell keeps.
 * @typedef {object} ReplyList
 * @property {KeptReply[]} replies
 * @property {string | null} default said when nobody answers
 * @property {number} after_s how long after a press; 0: never
 * @property {number} most how many there may be
 */
/** @typedef {{resolve: (list: ReplyList) => void, reject: (error: ReplyError) => void, recording?: Uint8Array<ArrayBuffer>, onProgress?: (share: number) => void}} Asked */

const CHUNK_BYTES = 16 * 1024;
const MAX_SAID_CHARACTERS = 32 * 1024;
const SILENCE_MS = 25_000;

/** The doorbell didn't do it; `reason` is one of the catalog's sayings.error.* names, mostly. */
export class ReplyError extends Error {
  /** @param {string} reason @param {string} detail */
  constructor(reason, detail) {
    super(detail);
    this.reason = reason;
  }
}

export class ReplyClient {
  /** @param {import("./live_prefetch.js").LivePrefetch} ready @param {string} device */
  constructor(ready, device) {
    this.makeSession = async () => new LiveSession(ready.relay, await ready.call(device, "clips"));
    /** @type {LiveSession | null} */
    this.session = null;
    /** @type {RTCDataChannel | null} */
    this.channel = null;
    /** @type {Asked | null} */
    this.asked = null;
    /** How many wishes aren't answered yet. */
    this.pending = 0;
    /** @type {Promise<unknown>} */
    this.before = Promise.resolve();
    this.timer = 0;
    this.isClosed = false;
    /** Called once the session is over, whoever ended it. */
    this.onOver = () => {};
  }

  /** Opens a session and returns the list; throws what a live session throws, or ReplyError. */
  async open() {
    const session = await this.makeSession();
    if (this.isClosed) throw new ReplyError("closed", "nobody looks any more");
    this.session = session;
    const channel = (this.channel = session.peer.createDataChannel("replies"));
    channel.addEventListener("message", ({ data }) => this.#hear(data));
    const opened = new Promise((resolve) => channel.addEventListener("open", resolve, { once: true }));
    session.onState = (state) => {
      if (state === "lost") session.close();
      if (state === "closed") this.#over();
    };
    const listing = this.#ask({ type: "list" }, {}, opened);
    listing.catch(() => {}); // told below, or start() has thrown
    await session.start();
    return listing;
  }

  /**
   * @param {string} name @param {Uint8Array<ArrayBuffer>} recording a WAV file
   * @param {(share: number) => void} onProgress
   */
  addRecording(name, recording, onProgress) {
    return this.#ask({ type: "add_recording", name, size: recording.length }, { recording, onProgress });
  }

  /** @param {string} name @param {string} text @param {string} language */
  addText(name, text, language) {
    return this.#ask({ type: "add_text", name, text, language });
  }

  /** @param {string} id */
  remove(id) {
    return this.#ask({ type: "remove", id });
  }

  /** @param {string | null} id what is said when nobody answers */
  setDefault(id) {
    return this.#ask({ type: "default", id });
  }

  close() {
    this.isClosed = true;
    this.session?.close();
  }

  /**
   * Asks once what was asked before is answered.
   * @param {object} wish @param {Partial<Asked>} [more] @param {Promise<unknown>} [opened]
   * @returns {Promise<ReplyList>}
   */
  #ask(wish, more, opened) {
    this.pending += 1;
    const answer = this.before.then(() => this.#askNow(wish, more, opened)).finally(() => (this.pending -= 1));
    this.before = answer.catch(() => {}); // told to who asked
    return answer;
  }

  /**
   * @param {object} wish @param {Partial<Asked>} [more] @param {Promise<unknown>} [opened]
   * @returns {Promise<ReplyList>}
   */
  #askNow(wish, more = {}, opened = Promise.resolve()) {
    return new Promise((resolve, reject) => {
      const asked = (this.asked = { ...more, resolve, reject });
      this.#wait();
      opened.then(() => asked === this.asked && this.#send(JSON.stringify(wish)));
    });
  }

  /** @param {unknown} data */
  #hear(data) {
    const said = parseChannelMessage(data);
    const { asked } = this;
    if (said === null || asked === null) return console.warn("the doorbell said what isn't expected here");
    if (said.type === "received") return this.#sendOn(asked, said.bytes);
    this.#settled();
    if (said.type === "error") asked.reject(new ReplyError(said.reason, said.detail));
    else asked.resolve(said);
  }

  /** Sends the recording's next part. @param {Asked} asked @param {number} from */
  #sendOn({ recording, onProgress }, from) {
    if (recording === undefined || from >= recording.length) return;
    onProgress?.(from / recording.length);
    this.#wait();
    this.#send(recording.slice(from, from + CHUNK_BYTES));
  }

  /** @param {string | Uint8Array<ArrayBuffer>} message */
  #send(message) {
    if (this.channel?.readyState !== "open") return this.#over();
    if (typeof message === "string") this.channel.send(message);
    else this.channel.send(message);
  }

  #wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.session?.close(), SILENCE_MS);
  }

  #settled() {
    clearTimeout(this.timer);
    this.asked = null;
  }

  #over() {
    const { asked } = this;
    this.#settled();
    asked?.reject(new ReplyError("unreachable", "the session is over"));
    this.onOver();
    this.onOver = () => {};
  }
}

/**
 * Returns what a message says, or null if it isn't one of the words.
 * @param {unknown} data
 * @returns {({type: "replies"} & ReplyList) | {type: "received", bytes: number} | {type: "error", reason: string, detail: string} | null}
 */
export function parseChannelMessage(data) {
  const said = jsonOf(data, MAX_SAID_CHARACTERS);
  if (said?.type === "replies" && isList(said)) return said;
  if (said?.type === "received" && isCount(said.bytes)) return said;
  if (said?.type === "error" && isText(said.reason) && isText(said.detail)) return said;
  return null;
}

/** @param {any} said */
function isList({ replies, default: chosen, after_s, most }) {
  return (
    Array.isArray(replies) &&
    replies.every(isReply) &&
    (chosen === null || replies.some((reply) => reply.id === chosen)) &&
    isCount(after_s) &&
    isCount(most)
  );
}

/** @param {any} reply */
function isReply(reply) {
  const { id, name, kind, text, language } = reply ?? {};
  return [id, name, text].every(isText) && ["recording", "speech"].includes(kind) && ["en", "sv"].includes(language);
}
