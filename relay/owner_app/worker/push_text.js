/**
 * Strict parser of push messages, as in firmware/protocol/live.py (`PushText`): whoever has the
 * subscription's keys could have written one, and it may be old.
 * @module
 */
import { ID_PATTERN, LAST_MS, WireError, parseCanonical } from "../vendor/protocol/encoding.js";
import { isLine } from "../vendor/protocol/plain_text.js";

/** @typedef {{v: 1, device: string, event_id: string, kind: "pressed" | "motion", time_ms: number | null, detail: string | null}} PushText `time_ms` is null while the doorbell doesn't know the time */

const MAX_CHARS = 1200;
const FIELDS = ["v", "device", "event_id", "kind", "time_ms", "detail"].sort();
const DEVICE_PATTERN = /^[a-z2-7]{20}$/;

/** @param {string} text @returns {PushText} */
export function parsePushText(text) {
  if (text.length > MAX_CHARS) throw new WireError("a push message that is too long");
  const said = parseCanonical(text);
  if (said === null || typeof said !== "object" || String(Object.keys(said).sort()) !== String(FIELDS)) {
    throw new WireError("a push message has other fields than are known here");
  }
  const { v, device, event_id, kind, time_ms, detail } = /** @type {Record<string, unknown>} */ (said);
  const isRight =
    v === 1 &&
    typeof device === "string" &&
    DEVICE_PATTERN.test(device) &&
    typeof event_id === "string" &&
    ID_PATTERN.test(event_id) &&
    (kind === "pressed" || kind === "motion") &&
    (time_ms === null || isTime(time_ms)) &&
    (detail === null || (typeof detail === "string" && isLine(detail)));
  if (!isRight) throw new WireError("a push message isn't what it should be");
  return /** @type {PushText} */ (said);
}

/** @param {unknown} value */
function isTime(value) {
  return typeof value === "number" && value >= 0 && value <= LAST_MS;
}
