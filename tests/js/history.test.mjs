/**
 * The history by days: 23 and 25 hours, zones far ahead, clocks that are wrong; what is shown of it,
 * and what owners decided of single recordings.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { ClipChoices } from "../../relay/owner_app/clip_choices.js";
import { groupEvents } from "../../relay/owner_app/event_groups.js";
import { closestTo, dayStart, daysOf, hoursOf, marksOf, nextDay, shareOf, shownOf } from "../../relay/owner_app/history_days.js";

const DOOR = "abcdefghijklmnopqrst";
const HOUR_MS = 3_600_000;
let last = 0;

function told(body, ms, device = DOOR) {
  const seq = (last += 1);
  const event = { v: 1, id: `id-${seq}`, device, seq, time_ms: ms, is_clock_trusted: true, body };
  return { relay_seq: seq, received_ms: ms, corrected_ms: null, event };
}

function happening(type, ms, { clip, device } = {}) {
  const trigger = told({ type, camera: "working", zones: [] }, ms, device);
  if (clip === undefined) return [trigger];
  const ready = { type: "clip_ready", clip_id: clip, trigger_event_id: trigger.event.id, more_trigger_ids: [], started_ms: ms - 6000, duration_ms: 18_000, pre_roll_ms: 6000 };
  return [trigger, told(ready, ms + 12_000, device)];
}

const groupsOf = (...happenings) => groupEvents(happenings.flat().sort((a, b) => b.event.time_ms - a.event.time_ms));

/** Runs in a zone; Node reads it anew each time. */
function inZone(zone, run) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    run();
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

for (const { zone, day, hours } of [
  { zone: "Europe/Stockholm", day: [2026, 2, 29], hours: 23 },
  { zone: "Europe/Stockholm", day: [2026, 9, 25], hours: 25 },
  { zone: "America/New_York", day: [2026, 10, 1], hours: 25 },
  { zone: "Pacific/Tongatapu", day: [2026, 5, 1], hours: 24 }, // 13 hours ahead
  { zone: "Pacific/Apia", day: [2026, 5, 1], hours: 24 },
  { zone: "UTC", day: [2026, 11, 31], hours: 24 },
]) {
  test(`a day in ${zone} has its ${hours} hours, each in its place`, () => {
    inZone(zone, () => {
      const start = new Date(...day).getTime();
      const end = nextDay(start);
      assert.equal((end - start) / HOUR_MS, hours);
      const found = hoursOf({ start, end });
      assert.equal(found.length, hours);
      assert.equal(found[0].hour, 0);
      assert.equal(found.at(-1).hour, 23);
      found.forEach(({ ms, share }, number) => {
        assert.equal(ms, start + number * HOUR_MS);
        assert.ok(Math.abs(share - number / hours) < 1e-9);
      });
      assert.equal(dayStart(end - 1), start);
      assert.equal(dayStart(end), end);
    });
  });
}

test("the hour that comes twice stands twice, and the one that is left out not at all", () => {
  inZone("Europe/Stockholm", () => {
    const autumn = new Date(2026, 9, 25).getTime();
    assert.deepEqual(hoursOf({ start: autumn, end: nextDay(autumn) }).map(({ hour }) => hour).slice(0, 5), [0, 1, 2, 2, 3]);
    const spring = new Date(2026, 2, 29).getTime();
    assert.deepEqual(hoursOf({ start: spring, end: nextDay(spring) }).map(({ hour }) => hour).slice(0, 4), [0, 1, 3, 4]);
  });
});

test("a day of 24 and a half hours, where clocks go back by half an hour", () => {
  inZone("Australia/Lord_Howe", () => {
    const start = new Date(2026, 3, 5).getTime();
    assert.equal((nextDay(start) - start) / HOUR_MS, 24.5);
    for (const { ms, hour } of hoursOf({ start, end: nextDay(start) })) assert.equal(new Date(ms).getHours(), hour);
  });
});

test("what happened is on its day by the zone of whoever looks", () => {
  const noon = Date.UTC(2026, 5, 1, 12);
  const groups = () => groupsOf(happening("pressed", noon), happening("motion", noon - HOUR_MS));
  inZone("UTC", () => assert.equal(daysOf(groups()).length, 1));
  inZone("Pacific/Tongatapu", () => {
    const days = daysOf(groups()); // 01:00 and midnight sharp, of the next day
    assert.equal(days.length, 1);
    assert.equal(new Date(days[0].start).getDate(), 2);
    assert.equal(days[0].entries[1].ms, days[0].start);
  });
  inZone("Pacific/Auckland", () => assert.equal(daysOf(groups()).length, 2)); // midnight, and an hour before
  inZone("Asia/Kathmandu", () => assert.equal(daysOf(groups()).length, 1));
});

test("days come newest first, and what is told of the future has its day too", () => {
  inZone("UTC", () => {
    const midnight = Date.UTC(2026, 5, 2);
    const days = daysOf(groupsOf(happening("pressed", midnight - 1), happening("motion", midnight), happening("motion", midnight + 30 * HOUR_MS)));
    assert.deepEqual(days.map(({ start }) => (start - midnight) / HOUR_MS), [24, 0, -24]);
  });
});

test("rings and movements stand on the line where they were, and the closest is found", () => {
  inZone("Europe/Stockholm", () => {
    const start = new Date(2026, 9, 25).getTime(); // of 25 hours
    const [day] = daysOf(groupsOf(happening("pressed", start + 5 * HOUR_MS), happening("motion", start + 20 * HOUR_MS)));
    const { rings, motions } = marksOf(day);
    assert.deepEqual([rings.length, motions.length], [1, 1]);
    assert.equal(rings[0].share, 0.2);
    assert.equal(motions[0].share, 0.8);
    assert.equal(closestTo(day, start).ms, rings[0].ms);
    assert.equal(closestTo(day, start + 13 * HOUR_MS).ms, motions[0].ms);
    assert.equal(shareOf(day, start - 1), 0);
    assert.equal(shareOf(day, day.end + HOUR_MS), 1);
  });
});

const note = (what, clips, { by = "Ada", ms = 1, until_ms } = {}) => ({
  time_ms: ms,
  note: { device: DOOR, body: { type: "clips_decided", statement_digest: "d", what, by_name: by, clips, ...(until_ms === undefined ? {} : { until_ms }) } },
});

test("the newest decision counts, in whatever order they came", () => {
  const choices = new ClipChoices([
    note("restored", ["a"], { ms: 3 }),
    note("deleted", ["a", "b"], { ms: 2, until_ms: 90 }),
    note("kept", ["a"], { ms: 1 }),
    note("kept", ["c"], { ms: 1 }),
    note("kept", ["c"], { ms: 2, by: "Bo" }),
    note("let_go", ["c"], { ms: 3 }),
    note("erased", ["e"], { ms: 4 }),
  ]);
  assert.deepEqual(choices.of(DOOR, "a"), { keptBy: [] }); // a deletion ends the keeping
  assert.deepEqual(choices.of(DOOR, "b"), { deleted: { by: "Ada", until_ms: 90 }, keptBy: [] });
  assert.deepEqual(choices.of(DOOR, "c"), { keptBy: ["Bo"] });
  assert.deepEqual(choices.of(DOOR, "e").deleted, { by: "Ada", until_ms: 0 });
  assert.deepEqual(choices.of("another", "b"), { keptBy: [] });
  assert.equal(choices.hasUndo(89), true);
  assert.equal(choices.hasUndo(90), false);
});

test("what is deleted is shown only where it is asked for, and not once it is erased", () => {
  const groups = groupsOf(happening("pressed", 10, { clip: "a" }), happening("motion", 20, { clip: "b" }), happening("motion", 30), happening("pressed", 40, { clip: "c" }));
  const choices = new ClipChoices([note("deleted", ["a"], { until_ms: 90 }), note("erased", ["c"]), note("kept", ["b"])]);
  const shown = (...kinds) => shownOf(groups, { kinds: new Set(kinds) }, choices, 50).map(({ told: { event } }) => event.time_ms);
  assert.deepEqual(shown(), [30, 20]);
  assert.deepEqual(shown("ring"), []);
  assert.deepEqual(shown("motion"), [30, 20]);
  assert.deepEqual(shown("ring", "motion"), [30, 20]);
  assert.deepEqual(shown("kept"), [20]);
  assert.deepEqual(shown("kept", "ring"), []);
  assert.deepEqual(shown("deleted"), [10]);
  assert.deepEqual(shownOf(groups, { kinds: new Set(["deleted"]) }, choices, 90), []);
  assert.deepEqual(shownOf(groups, { kinds: new Set(), device: "another" }, choices, 50), []);
});

test("ten thousand events are grouped in a time that doesn't grow with their square", () => {
  const all = [];
  for (let number = 0; number < 5000; number += 1) all.push(happening("motion", number * 1000, { clip: `c${number}` }));
  const goesOn = all.flat().map((one) => ({ ...one, event: { ...one.event } }));
  // Nothing knows its trigger: each clip stands for itself, and is looked up.
  for (const one of goesOn) if (one.event.body.type === "clip_ready") one.event.body = { ...one.event.body, trigger_event_id: "none" };
  const before = process.cpuUsage();
  groupsOf(...all);
  groupEvents(goesOn.sort((a, b) => b.event.time_ms - a.event.time_ms));
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 < 2000, `${(user + system) / 1000} ms`);
});
