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
  id: "a".repeat(26),
  time_ms: 1_790_000_000_000,
  body: { type: "pressed" },
};
const text = (changes = {}) => canonical({ ...SAID, ...changes });
const BODIES = [
  { type: "pressed" },
  { type: "motion", zones: "Einfahrt – links 🏡" },
  { type: "motion", zones: null },
  { type: "ring_over", by: "Åsa" },
  { type: "ring_over", by: null },
  { type: "summary", rings: 0, motions: 2 ** 31, has_to_read: true },
  { type: "emergency", is_here: null },
  { type: "emergency", is_here: false },
  { type: "silent", after_minutes: 15 },
  { type: "back", since_ms: 1790000000000, silent_since_ms: 1789990000000 },
];

test("takes what a doorbell says", () => {
  for (const body of BODIES) assert.deepEqual(parsePushText(text({ body })), { ...SAID, body });
  assert.equal(parsePushText(text({ time_ms: null })).time_ms, null);
});

for (const [why, changes] of Object.entries({
  "another version": { v: 2 },
  "a device that is none": { device: "ABC" },
  "a device with a path in it": { device: "../../../evil/aaaaaa" },
  "an event that is none": { id: "a/b" },
  "another kind": { body: { type: "alarm" } },
  "a kind of all objects": { body: { type: "toString" } },
  "no kind": { body: {} },
  "nothing in it": { body: null },
  "a time of no calendar": { time_ms: 1e15 },
  "a time before all": { time_ms: -1 },
  "a time in words": { time_ms: "now" },
  "zones of two lines": { body: { type: "motion", zones: "a\nb" } },
  "empty zones": { body: { type: "motion", zones: "" } },
  "zones without end": { body: { type: "motion", zones: "x".repeat(201) } },
  "a ring with a picture's address": { body: { type: "pressed", url: "https://evil.example" } },
  "a summary that names a request": { body: { type: "summary", rings: 0, motions: 0, has_to_read: true, agency: "Lakeland" } },
  "half a ring": { body: { type: "summary", rings: 0.5, motions: 0, has_to_read: true } },
  "fewer rings than none": { body: { type: "summary", rings: -1, motions: 0, has_to_read: true } },
  "an emergency that names a request": { body: { type: "emergency", is_here: true, request: "a" } },
  "a return before all time": { body: { type: "back", since_ms: -1, silent_since_ms: 0 } },
  "a return from no silence": { body: { type: "back", since_ms: 1790000000000 } },
  "a silence of no time": { body: { type: "silent", after_minutes: 0 } },
  "a silence of years": { body: { type: "silent", after_minutes: 1e6 } },
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
