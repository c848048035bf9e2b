/**
 * How a doorbell is, in words: what is bad is marked, what can't be known is left out.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { isBlind } from "../../relay/owner_app/camera_states.js";
import { factsOf } from "../../relay/owner_app/health.js";
import { agoText, bytesText } from "../../relay/owner_app/i18n.js";

const catalog = JSON.parse(
  readFileSync(new URL("../../relay/owner_app/locales/en.json", import.meta.url), "utf8"),
);
const WELL = {
  measured_ms: 1_790_000_000_000,
  camera: "working",
  fps_milli: 29_970,
  max_fps: 30,
  temperature_milli_c: 61_400,
  has_weak_power: false,
  had_weak_power: false,
  is_throttled: false,
  card_free_bytes: 12_300_000_000,
  card_total_bytes: 31_900_000_000,
  sync_p99_ms: 40,
  signal_dbm: -58,
  is_clock_trusted: true,
  memory_free_bytes: 180_000_000,
  clip_count: 42,
  oldest_clip_ms: 1_789_000_000_000,
  pre_roll_ms: 6_700,
  pre_roll_set_ms: 6_000,
};
const UNKNOWN = {
  ...{ measured_ms: 1, camera: "working", fps_milli: 30_000, max_fps: 30, is_clock_trusted: true },
  ...{ temperature_milli_c: null, has_weak_power: null, had_weak_power: null, is_throttled: null },
  ...{ card_free_bytes: null, card_total_bytes: null, sync_p99_ms: null, signal_dbm: null },
  ...{ memory_free_bytes: null, clip_count: 0, oldest_clip_ms: null },
  ...{ pre_roll_ms: null, pre_roll_set_ms: null },
};
const named = (health, name) => factsOf(health).find((fact) => fact.name === name);
const bad = (changes) =>
  factsOf({ ...WELL, ...changes })
    .filter((fact) => fact.isBad)
    .map(({ text, values }) => [text, values]);

test("a doorbell that is well has all figures and nothing to look at", () => {
  const facts = factsOf(WELL);
  assert.deepEqual(
    facts.map(({ name }) => name),
    ["camera", "temperature", "power", "card", "saving", "signal", "clock", "memory", "clips", "before"],
  );
  assert.deepEqual(bad({}), []);
  assert.deepEqual(named(WELL, "camera").values, { pictures: 30 });
  assert.deepEqual(named(WELL, "card").values, { free: "12.3 GB", total: "31.9 GB" });
});

test("a camera that skips pictures is marked", () => {
  const changes = { gap_count: 4, longest_gap_ms: 1_240 };
  assert.deepEqual(bad(changes), [["health.gaps", { count: 4, longest: "1.2 sec" }]]);
  assert.deepEqual(bad({ gap_count: 0, longest_gap_ms: 0 }), []);
});

test("what can't be known is left out", () => {
  const names = factsOf(UNKNOWN).map(({ name }) => name);
  assert.deepEqual(names, ["camera", "clock", "clips"]);
});

test("what is bad is marked, in words", () => {
  assert.deepEqual(bad({ camera: "missing", fps_milli: 0 }), [["health.camera.missing", {}]]);
  assert.deepEqual(bad({ has_weak_power: true }), [["health.power.weak", {}]]);
  assert.deepEqual(bad({ had_weak_power: true }), [["health.power.was_weak", {}]]);
  assert.deepEqual(bad({ is_throttled: true }), [["health.throttled", {}]]);
  assert.deepEqual(bad({ sync_p99_ms: 900 }), [["health.saving.slow", { ms: 900 }]]);
  assert.deepEqual(bad({ signal_dbm: -85 }), [["health.signal.very_weak", { dbm: "−85" }]]);
  assert.deepEqual(bad({ is_clock_trusted: false }), [["health.clock.not_set", {}]]);
});

test("recordings that begin later than is set say so", () => {
  assert.deepEqual(
    bad({ pre_roll_ms: 5_900 }).map(([text]) => text),
    ["health.before.short"],
  );
  assert.deepEqual(bad({ pre_roll_ms: 3_000, pre_roll_set_ms: 3_000 }), []);
});

test("heat that takes pictures away says so; a slow camera that is cool doesn't", () => {
  assert.deepEqual(bad({ temperature_milli_c: 81_000, max_fps: 10 }), [
    ["health.limit", { max: 10 }],
    ["health.temperature.hot", { degrees: 81 }],
  ]);
  assert.deepEqual(bad({ max_fps: 15 }), []);
});

test("signal strength has four words", () => {
  const words = [-50, -60, -65, -75, -81].map((dbm) => named({ ...WELL, signal_dbm: dbm }, "signal").text);
  assert.deepEqual(words, ["strong", "strong", "good", "weak", "very_weak"].map((word) => `health.signal.${word}`));
});

test("every fact has its words and fills all their gaps", () => {
  const states = ["starting", "missing", "busy", "frozen", "unsupported", "off"];
  const healths = [
    ...states.map((camera) => ({ ...WELL, camera })),
    ...[WELL, UNKNOWN],
    { ...WELL, temperature_milli_c: 81_000, max_fps: 10, is_throttled: true, sync_p99_ms: 900 },
    ...[-65, -75, -85].map((signal_dbm) => ({ ...WELL, signal_dbm })),
    { ...WELL, has_weak_power: true, is_clock_trusted: false },
    { ...WELL, had_weak_power: true },
  ];
  for (const { name, text, values } of healths.flatMap(factsOf)) {
    assert.ok(`health.name.${name}` in catalog, name);
    const gaps = [...catalog[text].matchAll(/\{(\w+)\}/g)].map(([, gap]) => gap);
    assert.deepEqual(Object.keys(values).sort(), gaps.sort(), text);
  }
});

test("a camera that starts isn't blind, one that is lost is", () => {
  assert.deepEqual(["working", "starting", "missing", "frozen"].map(isBlind), [false, false, true, true]);
});

test("bytes and times past are for people", () => {
  assert.equal(bytesText(180_000_000), "180 MB");
  const ago = (ms) => agoText(Date.now() - ms);
  assert.equal(ago(10_000), "1 minute ago");
  assert.equal(ago(3 * 3_600_000), "3 hours ago");
  assert.equal(ago(50 * 3_600_000), "2 days ago");
});
