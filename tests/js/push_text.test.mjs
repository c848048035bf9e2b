/**
 * What the service worker makes of a push message, before it shows anything of it.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { parsePushText } from "../../relay/owner_app/worker/push_text.js";
import { WireError, canonical } from "../../relay/owner_app/vendor/protocol/encoding.js";

const SAID = {
  v: 1,
  device: "abcdefghijklmnopqrst",
  event_id: "a".repeat(26),
  kind: "pressed",
  time_ms: 1_790_000_000_000,
  detail: null,
};
const text = (changes = {}) => canonical({ ...SAID, ...changes });

test("takes what a doorbell says", () => {
  assert.deepEqual(parsePushText(text()), SAID);
  const more = { kind: "motion", detail: "Einfahrt – links 🏡" };
  assert.deepEqual(parsePushText(text(more)), { ...SAID, ...more });
  assert.equal(parsePushText(text({ time_ms: null })).time_ms, null);
});

for (const [why, changes] of Object.entries({
  "another version": { v: 2 },
  "a device that is none": { device: "ABC" },
  "a device with a path in it": { device: "../../../evil/aaaaaa" },
  "an event that is none": { event_id: "a/b" },
  "another kind": { kind: "alarm" },
  "a time of no calendar": { time_ms: 1e15 },
  "a time before all": { time_ms: -1 },
  "a time in words": { time_ms: "now" },
  "a detail of two lines": { detail: "a\nb" },
  "an empty detail": { detail: "" },
  "a detail without end": { detail: "x".repeat(201) },
  "a field more": { url: "https://evil.example" },
})) {
  test(`refuses ${why}`, () => {
    assert.throws(() => parsePushText(text(changes)), WireError);
  });
}

test("refuses what isn't such a document at all", () => {
  const whole = text();
  for (const bad of ["", "null", "[]", "1", '"x"', "{}", ` ${whole}`, whole.replace("{", "{ "), whole + "x".repeat(1200)]) {
    assert.throws(() => parsePushText(bad), WireError, bad.slice(0, 40));
  }
  for (let at = 0; at < whole.length; at += 1) {
    assert.throws(() => parsePushText(whole.slice(0, at)), WireError);
  }
});
