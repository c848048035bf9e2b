/**
 * One question to a doorbell over the data channel "asked", in a session without live view, end to
 * end: the relay learns none of it. The words there are firmware/protocol/asking.py's; they are read
 * strictly.
 * @module
 */
import { LiveSession } from "./live.js";
import { isCount, isText, jsonOf } from "./channel_json.js";
import { join, sha256Hex } from "./vendor/protocol/encoding.js";

const SILENCE_MS = 25_000;
const MOST_CHARACTERS = 1024;

/** The doorbell didn't answer, or not in its words; `reason` is its own word, if it gave one. */
export class NotAnswered extends Error {
  /** @param {string} message @param {string} [reason] */
  constructor(message, reason = "") {
    super(message);
    this.name = "NotAnswered";
    this.reason = reason;
  }
}

/**
 * Asks a doorbell; throws what a live session throws, or NotAnswered.
 * @param {import("./live_prefetch.js").LivePrefetch} ready @param {string} device
 * @param {{type: string} & Record<string, unknown>} wish
 * @param {{kind: string, mostBytes: number}} answer `kind` of it; `mostBytes` 0: it has no more than that
 * @returns {Promise<string>}
 */
export async function askDoorbell(ready, device, wish, { kind, mostBytes }) {
  const session = new LiveSession(ready.relay, await ready.call(device, "clips"));
  try {
    const channel = session.peer.createDataChannel("asked");
    channel.binaryType = "arraybuffer";
    const answer = answerOn(channel, session, wish, new Answer(kind, mostBytes));
    answer.catch(() => {}); // told below, or start() has thrown
    await session.start();
    return await answer;
  } finally {
    session.close();
  }
}

/** @param {RTCDataChannel} channel @param {LiveSession} session @param {object} wish @param {Answer} answer @returns {Promise<string>} */
function answerOn(channel, session, wish, answer) {
  return new Promise((resolve, reject) => {
    const fail = (/** @type {unknown} */ why) => {
      clearTimeout(timer);
      reject(why instanceof Error ? why : new NotAnswered(String(why)));
    };
    let timer = setTimeout(() => fail("silence"), SILENCE_MS);
    session.onState = (state) => (state === "lost" || state === "closed") && fail(state);
    channel.addEventListener("open", () => channel.send(JSON.stringify(wish)));
    channel.addEventListener("message", ({ data }) => {
      clearTimeout(timer);
      timer = setTimeout(() => fail("silence"), SILENCE_MS);
      try {
        if (!answer.hear(data)) return;
      } catch (error) {
        return fail(error);
      }
      clearTimeout(timer);
      answer.text().then(resolve, reject);
    });
  });
}

/** One answer as it comes: announced by its size and digest, then its bytes, then an end. */
class Answer {
  /** @param {string} kind @param {number} mostBytes */
  constructor(kind, mostBytes) {
    this.kind = kind;
    this.mostBytes = mostBytes;
    /** @type {{size: number, sha256: string} | null} */
    this.head = null;
    /** @type {Uint8Array[]} */
    this.parts = [];
    this.received = 0;
  }

  /** @param {unknown} data @returns {boolean} whether that was the end */
  hear(data) {
    if (data instanceof ArrayBuffer) {
      this.received += data.byteLength;
      if (this.head === null || this.received > this.head.size) throw new NotAnswered("more than was announced");
      this.parts.push(new Uint8Array(data));
      return false;
    }
    const said = jsonOf(data, MOST_CHARACTERS);
    if (said?.type === this.kind && this.mostBytes === 0) return true;
    if (said?.type === this.kind && isCount(said.size) && said.size <= this.mostBytes && isText(said.sha256)) {
      this.head = said;
      return false;
    }
    if (said?.type === "end" && this.head !== null && this.received === this.head.size) return true;
    throw new NotAnswered(isText(said?.detail) ? said.detail : "not one of its words", isText(said?.reason) ? said.reason : "");
  }

  async text() {
    if (this.head === null) return "";
    const data = join(...this.parts);
    if ((await sha256Hex(data)) !== this.head.sha256) throw new NotAnswered("other bytes than were announced");
    return new TextDecoder().decode(data);
  }
}
