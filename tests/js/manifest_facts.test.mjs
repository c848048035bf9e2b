/**
 * What an agency's page says about a recording.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { factsOf } from "../../relay/web/saved/manifest_facts.js";
import { NO_MASK_DIGEST } from "../../relay/web/static/js/protocol/footage.js";

const PLAIN = {
  ...{ counter: 42, started_ms: 1_790_000_000_000, is_clock_trusted: true },
  ...{ duration_90k: 1_350_000, width: 1280, height: 720 },
  ...{ ended: "complete", lost_units: 0, mask_digest: NO_MASK_DIGEST },
  triggers: [
    { event_id: "a", kind: "motion", at_90k: 540_000 },
    { event_id: "b", kind: "pressed", at_90k: 720_000 },
  ],
};
const SILENT = { lost_90k: 180_000, codec: "aac-lc", spans: [], root: "0" };
const odd = (changes, has_sound = false) =>
  factsOf({ ...PLAIN, ...changes }, { has_sound })
    .filter((fact) => fact.isOdd)
    .map(({ text }) => text);

test("no mask is the digest of an empty list, as the doorbell has it", () => {
  assert.equal(createHash("sha256").update("[]").digest("hex"), NO_MASK_DIGEST);
});

test("gaps are told with the longest", () => {
  assert.deepEqual(odd({ gaps: { count: 2, longest_90k: 54_000 } }), ["fact.gaps"]);
  const told = factsOf({ ...PLAIN, gaps: { count: 2, longest_90k: 54_000 } }, { has_sound: false }).at(-1);
  assert.deepEqual(told.values, { count: 2, seconds: "0.6" });
});

test("a recording that hangs on its side has the size that is shown", () => {
  for (const [rotation, width, height] of [[90, 720, 1280], [180, 1280, 720], [270, 720, 1280]]) {
    const size = factsOf({ ...PLAIN, rotation }, { has_sound: false }).find(({ text }) => text === "fact.size");
    assert.deepEqual(size.values, { seconds: "15.0", width, height });
  }
});

test("an ordinary recording has its number, its size and what set it off", () => {
  assert.deepEqual(factsOf(PLAIN, { has_sound: false }), [
    { text: "fact.number", values: { counter: 42 }, isOdd: false },
    { text: "fact.begun", values: { time: "2026-09-21 14:13:20" }, isOdd: false },
    { text: "fact.size", values: { seconds: "15.0", width: 1280, height: 720 }, isOdd: false },
    { text: "fact.motion", values: { seconds: "6.0" }, isOdd: false },
    { text: "fact.pressed", values: { seconds: "8.0" }, isOdd: false },
  ]);
});

test("what is out of the ordinary is said", () => {
  assert.deepEqual(odd({ is_clock_trusted: false }), ["fact.clock"]);
  assert.deepEqual(odd({ ended: "cut_short" }), ["fact.cut_short"]);
  assert.deepEqual(odd({ lost_units: 7 }), ["fact.lost"]);
  assert.deepEqual(odd({ mask_digest: "f".repeat(64) }), ["fact.masked"]);
});

test("sound is said to be there or to have been left out, and where it is silent", () => {
  const named = (has_sound) =>
    factsOf({ ...PLAIN, sound: SILENT }, { has_sound }).map(({ text }) => text);
  assert.equal(named(true).includes("fact.sound"), true);
  assert.equal(named(false).includes("fact.no_sound"), true);
  const none = factsOf({ ...PLAIN, sound: SILENT }, { has_sound: false, is_sound_given: true });
  assert.equal(none[5].text, "fact.no_sound_here");
  assert.deepEqual(odd({ sound: SILENT }, true), ["fact.silent"]);
  assert.deepEqual(odd({ sound: SILENT }, false), []);
  assert.deepEqual(odd({ sound: { ...SILENT, lost_90k: 2_000 } }, true), []);
});

test("both languages have words for every fact, with the same gaps", () => {
  const all = { is_clock_trusted: false, ended: "cut_short", lost_units: 7, mask_digest: "f" };
  const file = new URL("../../relay/web/saved/texts.json", import.meta.url);
  for (const [language, texts] of Object.entries(JSON.parse(readFileSync(file, "utf8")))) {
    const facts = [true, false].flatMap((has_sound) =>
      [true, false].flatMap((is_sound_given) =>
        factsOf({ ...PLAIN, ...all, sound: SILENT }, { has_sound, is_sound_given }),
      ),
    );
    for (const { text, values } of facts) {
      const gaps = [...texts[text].matchAll(/\{(\w+)\}/g)].map(([, gap]) => gap);
      assert.deepEqual(gaps.sort(), Object.keys(values).sort(), `${language}: ${text}`);
    }
  }
});
