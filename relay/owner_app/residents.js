/**
 * The owners, confirmation keys and recovery key of a doorbell, by the doorbell's own notes, read
 * strictly.
 * @module
 */
import { askDoorbell } from "./asked_channel.js";
import { isText, jsonOf } from "./channel_json.js";

/** @typedef {{name: string, credential_id: string, words: string[]}} ApproverLine */
/** @typedef {{approvers: ApproverLine[], recovery_words: string[]}} LivesHere no recovery words: there is no such key */

const MOST_BYTES = 512 * 1024;

/** The doorbell didn't say it. */
export class NoResidents extends Error {}

/**
 * Asks a doorbell; throws what a live session throws, NotAnswered or NoResidents.
 * @param {import("./live_prefetch.js").LivePrefetch} ready @param {string} device
 * @returns {Promise<LivesHere>}
 */
export async function fetchResidents(ready, device) {
  return parseResidents(await askDoorbell(ready, device, { type: "household" }, { kind: "household", mostBytes: MOST_BYTES }));
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
