/**
 * Strict parser of push messages, as in firmware/protocol/live.py (`PushText`): whoever has the
 * subscription's keys could have written one, and it may be old.
 * @module
 */
import { ID_PATTERN, LAST_MS, WireError, parseCanonical } from "../vendor/protocol/encoding.js";
import { isLine } from "../vendor/protocol/plain_text.js";

/**
 * @typedef {{type: "pressed"}} RingBody
 * @typedef {{type: "motion", zones: string | null}} MotionBody
 * @typedef {{type: "ring_over", by: string | null}} RingOverBody
 * @typedef {{type: "summary", rings: number, motions: number, has_to_read: boolean}} SummaryBody
 * @typedef {{type: "emergency", is_here: boolean | null}} EmergencyBody
 * @typedef {{type: "silent", after_minutes: number}} SilentBody
 * @typedef {{type: "back", since_ms: number, silent_since_ms: number}} BackBody
 */
/** @typedef {RingBody | MotionBody | RingOverBody | SummaryBody | EmergencyBody | SilentBody | BackBody} PushBody */
/**
 * @template {PushBody} [B=PushBody]
 * @typedef {{v: 1, device: string, id: string, time_ms: number | null, body: B}} PushText `time_ms` is null while the doorbell doesn't know the time
 */

const MAX_CHARS = 1200;
const FIELDS = ["v", "device", "id", "time_ms", "body"];
const DEVICE_PATTERN = /^[a-z2-7]{20}$/;
const MAX_COUNT = 2 ** 31;
const MAX_MINUTES = 1440;

const isText = (/** @type {unknown} */ value) => value === null || (typeof value === "string" && isLine(value));
const isCount = (/** @type {unknown} */ value) => isWithin(value, 0, MAX_COUNT);
const isMoment = (/** @type {unknown} */ value) => isWithin(value, 0, LAST_MS);
const isTruth = (/** @type {unknown} */ value) => typeof value === "boolean";

/** What each kind has beside its type, and how that is checked. @type {Record<string, Record<string, (value: unknown) => boolean>>} */
const BODIES = {
  pressed: {},
  motion: { zones: isText },
  ring_over: { by: isText },
  summary: { rings: isCount, motions: isCount, has_to_read: isTruth },
  emergency: { is_here: (value) => value === null || isTruth(value) },
  silent: { after_minutes: (value) => isWithin(value, 1, MAX_MINUTES) },
  back: { since_ms: isMoment, silent_since_ms: isMoment },
};

/** @param {string} text @returns {PushText} */
export function parsePushText(text) {
  if (text.length > MAX_CHARS) throw new WireError("a push message that is too long");
  const said = fieldsOf(parseCanonical(text), FIELDS);
  const { v, device, id, time_ms, body } = said;
  const isRight =
    v === 1 &&
    typeof device === "string" &&
    DEVICE_PATTERN.test(device) &&
    typeof id === "string" &&
    ID_PATTERN.test(id) &&
    (time_ms === null || isWithin(time_ms, 0, LAST_MS));
  if (!isRight) throw new WireError("a push message isn't what it should be");
  checkBody(body);
  return /** @type {PushText} */ (/** @type {unknown} */ (said));
}

/** @param {unknown} body */
function checkBody(body) {
  const type = /** @type {{type?: unknown} | null | undefined} */ (body)?.type;
  if (typeof type !== "string" || !Object.hasOwn(BODIES, type)) throw new WireError("a push message of another kind");
  const checks = BODIES[type];
  const fields = fieldsOf(body, ["type", ...Object.keys(checks)]);
  for (const [name, isRight] of Object.entries(checks)) {
    if (!isRight(fields[name])) throw new WireError(`a push message's ${name} isn't what it should be`);
  }
}

/** @param {unknown} value @param {string[]} names @returns {Record<string, unknown>} */
function fieldsOf(value, names) {
  if (value === null || typeof value !== "object" || String(Object.keys(value).sort()) !== String([...names].sort())) {
    throw new WireError("a push message has other fields than are known here");
  }
  return /** @type {Record<string, unknown>} */ (value);
}

/** @param {unknown} value @param {number} least @param {number} most */
function isWithin(value, least, most) {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}
