/**
 * The owners, confirmation keys and recovery key of a doorbell, by the doorbell's own notes. Asked
 * over the data channel "asked" of a session without live view, end to end: the relay learns none
 * of it. The words there are firmware/protocol/asking.py's; they are read strictly.
 * @module
 */
import { LiveSession } from "./live.js";
import { isCount, isText, jsonOf } from "./channel_json.js";
import { join, sha256Hex } from "./vendor/protocol/encoding.js";

/** @typedef {{name: string, credential_id: string, words: string[]}} ApproverLine */
/** @typedef {{approvers: ApproverLine[], recovery_words: string[]}} LivesHere no recovery words: there is no such key */

const SILENCE_MS = 25_000;
const MOST_BYTES = 512 * 1024;
const MOST_CHARACTERS = 1024;

/** The doorbell didn't say it. */
export class NoResidents extends Error {}

/**
 * Asks a doorbell; throws what a live session throws, or NoResidents.
 * @param {import("./live_prefetch.js").LivePrefetch} ready @param {string} device
 * @returns {Promise<LivesHere>}
 */
export async function fetchResidents(ready, device) {
  const session = new LiveSession(ready.relay, await ready.call(device, "clips"));
  try {
    const channel = session.peer.createDataChannel("asked");
    channel.binaryType = "arraybuffer";
    const answer = answerOn(channel, session);
    answer.catch(() => {}); // told below, or start() has thrown
    await session.start();
    return parseResidents(await answer);
  } finally {
    session.close();
  }
}

/** @param {RTCDataChannel} channel @param {LiveSession} session @returns {Promise<string>} */
function answerOn(channel, session) {
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ why) => {
      clearTimeout(timer);
      reject(new NoResidents(why));
    };
    const timer = setTimeout(() => fail("silence"), SILENCE_MS);
    session.onState = (state) => (state === "lost" || state === "closed") && fail(state);
    const answer = new Answer();
    channel.addEventListener("open", () => channel.send(JSON.stringify({ type: "household" })));
    channel.addEventListener("message", ({ data }) => {
      try {
        if (!answer.hear(data)) return;
      } catch (error) {
        return fail(String(error));
      }
      clearTimeout(timer);
      answer.text().then(resolve, reject);
    });
  });
}

/** One answer as it comes: announced by its size and digest, then its bytes, then an end. */
class Answer {
  constructor() {
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
      if (this.head === null || this.received > this.head.size) throw new NoResidents("more than was announced");
      this.parts.push(new Uint8Array(data));
      return false;
    }
    const said = jsonOf(data, MOST_CHARACTERS);
    if (said?.type === "household" && isCount(said.size) && said.size <= MOST_BYTES && isText(said.sha256)) {
      this.head = said;
      return false;
    }
    if (said?.type === "end" && this.received === this.head?.size) return true;
    throw new NoResidents(isText(said?.detail) ? said.detail : "not one of its words");
  }

  async text() {
    const data = join(...this.parts);
    if ((await sha256Hex(data)) !== this.head?.sha256) throw new NoResidents("other bytes than were announced");
    return new TextDecoder().decode(data);
  }
}

/** Returns what is used of it here, or throws NoResidents. @param {string} text @returns {LivesHere} */
export function parseResidents(text) {
  const said = jsonOf(text, MOST_BYTES);
  const { approvers, recovery_words } = said ?? {};
  const isRight = said?.v === 1 && Array.isArray(approvers) && approvers.every(isApprover) && isWords(recovery_words);
  if (!isRight) throw new NoResidents("not who lives here");
  return { approvers: approvers.map(({ name, credential_id, words }) => ({ name, credential_id, words })), recovery_words };
}

/** @param {any} line */
function isApprover(line) {
  return isText(line?.name) && isText(line.credential_id) && isWords(line.words);
}

/** @param {any} words six, or none */
function isWords(words) {
  return Array.isArray(words) && [0, 6].includes(words.length) && words.every(isText);
}
