/**
 * What happened at a door: when it was, what belongs together, and what is still wrong.
 */
import assert from "node:assert/strict";
import test from "node:test";

import {
  byTime,
  redate,
  foldMotion,
  goesOn,
  groupEvents,
  newestRows,
  newestReports,
  startOf,
  triggersOf,
  troublesOf,
  whenOf,
} from "../../relay/owner_app/event_groups.js";

const DOOR = "abcdefghijklmnopqrst";
const NOW = 1_790_000_000_000;
let last = 0;

function told(body, { seq = (last += 1), ms = NOW + seq, isTrusted = true, ...more } = {}) {
  const event = { v: 1, id: `id-${seq}`, device: DOOR, seq, time_ms: ms, is_clock_trusted: isTrusted, body };
  return { relay_seq: seq, received_ms: NOW + seq, corrected_ms: null, event, ...more };
}

const pressed = (how) => told({ type: "pressed", camera: "working" }, how);
const motion = (how) => told({ type: "motion", zones: ["path"] }, how);
const trouble = (code, is_over, how) => told({ type: "trouble", code, is_over, detail: "x" }, how);
const clock = (from_seq, to_seq, offset_ms, how) =>
  told({ type: "clock_set", from_seq, to_seq, offset_ms }, how);
const clip = ([first, ...more], { clip_id = `clip-${last + 1}`, started_ms = NOW + last + 1, pre_roll_ms, ...how } = {}) =>
  told(
    {
      type: "clip_ready",
      clip_id,
      trigger_event_id: first.event.id,
      more_trigger_ids: more.map(({ event }) => event.id),
      started_ms,
      duration_ms: 12_000,
      ...(pre_roll_ms === undefined ? {} : { pre_roll_ms }),
    },
    how,
  );
const newestFirst = (...all) => all.sort(byTime);

test("a press and the motion around it lie in one clip and are one happening", () => {
  const [walk, ring, again] = [motion(), pressed(), pressed()];
  const made = clip([walk, ring, again]);
  const found = groupEvents(newestFirst(walk, ring, again, made));
  assert.equal(found.length, 1);
  assert.deepEqual(found[0], { kind: "pressed", told: ring, others: [walk, again], clip: made });
});

test("each clip is shown once, and what has none stands alone", () => {
  const [walk, ring, lonely] = [motion(), pressed(), motion()];
  const [walked, rung] = [clip([walk]), clip([ring])];
  const orphan = clip([told({ type: "motion", zones: [] })]); // its trigger isn't loaded
  const shown = groupEvents(newestFirst(walk, ring, lonely, walked, rung, orphan));
  assert.deepEqual(
    shown.map(({ kind, clip: made }) => [kind, made]),
    [
      ["clip_ready", orphan],
      ["motion", undefined],
      ["pressed", rung],
      ["motion", walked],
    ],
  );
});

test("notes and clocks are no groupEvents", () => {
  const note = told({ type: "note", credential_id: "a", sealed: "b" });
  assert.deepEqual(groupEvents([note, clock(1, 2, 3)]), []);
});

test("a clip of an older doorbell, which names one trigger only, is found", () => {
  const ring = pressed();
  const made = clip([ring]);
  delete made.event.body.more_trigger_ids;
  assert.equal(groupEvents(newestFirst(ring, made))[0].clip, made);
});

test("names what set a clip off, oldest first", () => {
  const [walk, ring] = [motion(), pressed()];
  const made = clip([walk, ring]);
  assert.deepEqual(triggersOf(newestFirst(walk, ring, made, pressed()), made), [walk, ring]);
});

test("a time of a clock that wasn't set counts for nothing until it is corrected", () => {
  const lost = pressed({ ms: 5000, isTrusted: false });
  assert.deepEqual(whenOf(lost), { ms: lost.received_ms, dating: "unsure" });
  const mended = pressed({ ms: 5000, isTrusted: false, corrected_ms: NOW });
  assert.deepEqual(whenOf(mended), { ms: NOW, dating: "corrected" });
  assert.equal(whenOf(pressed({ ms: 7 })).dating, "sure");
});

test("a clock that was set dates what it names, once, and nothing else", () => {
  const before = pressed({ seq: 1, ms: 10, isTrusted: false });
  const named = pressed({ seq: 2, ms: 20, isTrusted: false });
  const sure = pressed({ seq: 3, ms: NOW });
  const after = pressed({ seq: 6, ms: 30, isTrusted: false });
  const other = pressed({ seq: 2, ms: 20, isTrusted: false });
  other.event.device = "another";
  const all = [after, clock(2, 9, 500, { seq: 5 }), clock(2, 3, 100, { seq: 4 }), sure, named, before, other];
  redate(all);
  redate(all);
  const dated = [before, named, sure, after, other].map((one) => one.corrected_ms);
  assert.deepEqual(dated, [null, 120, null, null, null]);
});

test("an offset to no time at all dates nothing", () => {
  const lost = pressed({ seq: 1, ms: 10, isTrusted: false });
  redate([clock(1, 1, -11, { seq: 2 }), lost]);
  assert.equal(lost.corrected_ms, null);
});

test("a clip's beginning moves with its time, so that a grant names what the doorbell has", () => {
  const made = clip([pressed()], { ms: 13_000, isTrusted: false, corrected_ms: NOW + 13_000 });
  made.event.body.started_ms = 1000;
  assert.equal(startOf(made), NOW + 1000);
  assert.equal(startOf(clip([pressed()], { started_ms: NOW })), NOW);
});

test("a clip stands where it began, not where it was told", () => {
  const made = clip([pressed()], { started_ms: NOW - 60_000 });
  assert.deepEqual(whenOf(made), { ms: NOW - 60_000, dating: "sure" });
  const lost = clip([pressed()], { ms: 13_000, started_ms: 1000, isTrusted: false });
  assert.deepEqual(whenOf(lost), { ms: lost.received_ms, dating: "unsure" });
  lost.corrected_ms = NOW + 13_000;
  assert.deepEqual(whenOf(lost), { ms: NOW + 1000, dating: "corrected" });
});

test("what a set clock said isn't corrected, whatever the relay says", () => {
  const ring = pressed({ ms: NOW, corrected_ms: NOW + 20_000 });
  assert.deepEqual(whenOf(ring), { ms: NOW, dating: "sure" });
  const made = clip([ring], { ms: NOW + 5000, started_ms: NOW, corrected_ms: NOW + 25_000 });
  assert.equal(startOf(made), NOW);
});

test("a clip that was told anew counts once, by its newest telling, and isn't corrected twice", () => {
  const ring = pressed({ isTrusted: false, corrected_ms: NOW });
  const first = clip([ring], {
    ...{ clip_id: "c", ms: 13_000, started_ms: 1000, isTrusted: false, corrected_ms: NOW + 13_250 },
  });
  const again = clip([ring], { clip_id: "c", started_ms: NOW + 1007 });
  const other = clip([pressed()]);
  for (const all of [[first, again, other], [other, again, first]]) {
    const left = newestReports(all);
    assert.deepEqual(new Set(left), new Set([again, other]));
  }
  const shown = groupEvents(newestReports(newestFirst(ring, first, again)));
  assert.deepEqual(shown, [{ kind: "pressed", told: ring, others: [], clip: again }]);
  assert.equal(startOf(again), NOW + 1007);
});

test("newest is what has the highest number, whatever a clock says or the relay sent first", () => {
  const first = clip([pressed()], { clip_id: "c", seq: 501, ms: NOW + 99_000, relay_seq: 9 });
  const again = clip([pressed()], { clip_id: "c", seq: 502, ms: NOW, relay_seq: 8 });
  assert.deepEqual(newestReports([first, again]), [again]);
});

test("another door's clip of the same id is another clip", () => {
  const [mine, theirs] = [clip([pressed()], { clip_id: "c" }), clip([pressed()], { clip_id: "c" })];
  theirs.event.device = "another";
  assert.deepEqual(newestReports([mine, theirs]), [mine, theirs]);
});

test("a day full of motion hides no ring", () => {
  const noon = new Date(2026, 9, 5, 12).getTime();
  const ring = pressed({ ms: noon - 60_000 });
  const walks = Array.from({ length: 40 }, (_, minute) => motion({ ms: noon + minute * 60_000 }));
  const rows = foldMotion(groupEvents(newestFirst(ring, ...walks)));
  assert.deepEqual(rows.map(({ kind }) => kind), ["motion", "more_motion", "pressed"]);
  assert.equal(rows[0].told, walks[39]);
  assert.deepEqual(rows[1].motions.map(({ told: walk }) => walk), walks.slice(0, 39).reverse());
});

test("motion isn't folded over a ring, a day, a door, or for one row only", () => {
  const noon = new Date(2026, 9, 5, 12).getTime();
  const at = (minutes) => motion({ ms: noon + minutes * 60_000 });
  const kinds = (...all) => foldMotion(groupEvents(newestFirst(...all))).map(({ kind }) => kind);
  assert.deepEqual(kinds(at(1), at(2)), ["motion", "motion"]);
  assert.deepEqual(kinds(at(1), pressed({ ms: noon + 90_000 }), at(2), at(3)), [
    ...["motion", "motion", "pressed", "motion"],
  ]);
  assert.deepEqual(kinds(at(1), at(2), at(3), at(-1440)), ["motion", "more_motion", "motion"]);
  const theirs = [at(1), at(2)];
  for (const one of theirs) one.event.device = "another";
  assert.deepEqual(kinds(...theirs, at(3), at(4)), ["motion", "motion", "motion", "motion"]);
});

test("however much else happened, the newest rings are in a short list, in their place", () => {
  const rings = Array.from({ length: 9 }, (_, i) => ({ kind: "pressed", i }));
  const troubles = Array.from({ length: 20 }, (_, i) => ({ kind: "trouble", i }));
  assert.deepEqual(newestRows([...troubles, ...rings], 12), [...troubles.slice(0, 6), ...rings.slice(0, 6)]);
  assert.deepEqual(newestRows([...rings, ...troubles], 12), [...rings, ...troubles.slice(0, 3)]);
  assert.deepEqual(newestRows([...troubles, rings[0]], 12), [...troubles.slice(0, 11), rings[0]]);
  assert.deepEqual(newestRows(troubles.slice(0, 3), 12), troubles.slice(0, 3));
});

test("a clip that goes on from another is a row of its own, and the trigger stays with the first", () => {
  const ring = pressed();
  const first = clip([ring], { started_ms: NOW, pre_roll_ms: 6000 });
  const second = clip([ring], { started_ms: NOW + 60_000, pre_roll_ms: 0 });
  const history = newestFirst(ring, first, second);
  const rows = groupEvents(history).map(({ kind, others, clip: made }) => [kind, others, made]);
  assert.deepEqual(rows, [
    ["clip_ready", [ring], second],
    ["pressed", [], first],
  ]);
  assert.equal(goesOn(history, second), true);
  assert.equal(goesOn(history, first), false);
});

test("a clip without pre-roll goes on from nothing if no other names its trigger", () => {
  const [ring, walk] = [pressed(), motion()];
  const early = clip([ring], { pre_roll_ms: 0 });
  const theirs = clip([ring], { started_ms: NOW - 60_000 });
  theirs.event.device = "another";
  const walked = clip([walk], { started_ms: NOW - 60_000 });
  assert.equal(goesOn(newestFirst(ring, early, theirs, walk, walked), early), false);
  const whole = clip([ring], { started_ms: NOW + 60_000, pre_roll_ms: 6000 });
  assert.equal(goesOn(newestFirst(ring, early, whole), whole), false);
});

test("what goes on from the clip of a movement is folded with motion, and from a ring's isn't", () => {
  const noon = new Date(2026, 9, 5, 12).getTime();
  const run = (trigger) =>
    Array.from({ length: 4 }, (_, i) =>
      clip([trigger], { started_ms: noon + i * 60_000, pre_roll_ms: i ? 0 : 6000 }),
    );
  for (const [trigger, kinds] of [
    [motion({ ms: noon }), ["clip_ready", "more_motion"]],
    [pressed({ ms: noon }), ["clip_ready", "clip_ready", "clip_ready", "pressed"]],
  ]) {
    const rows = foldMotion(groupEvents(newestFirst(trigger, ...run(trigger))));
    assert.deepEqual(rows.map(({ kind }) => kind), kinds);
  }
});

test("a trouble is there until it is over, by number and not by a clock that may be wrong", () => {
  const history = newestFirst(
    trouble("power_weak", false, { seq: 1 }),
    trouble("camera", false, { seq: 2, ms: NOW + 99_000 }),
    trouble("camera", true, { seq: 3, ms: NOW }),
    trouble("too_hot", true, { seq: 4 }),
    trouble("too_hot", false, { seq: 5 }),
  );
  assert.deepEqual(
    troublesOf(history, DOOR).map(({ event }) => event.body.code).sort(),
    ["power_weak", "too_hot"],
  );
  assert.deepEqual(troublesOf(history, "another"), []);
});

/** A note that this browser has opened, among the events and beside them. */
function noted(body, how) {
  const one = told({ type: "note", credential_id: "a", browser: "b", sealed: "c" }, how);
  return { one, entry: [one.event.id, { note: { device: one.event.device, body } }] };
}

test("who watched is told once they are gone, with how long and whether they talked", () => {
  const began = noted({ type: "watching_began", session_id: "s", name: "Anna", browser_name: "Phone", at_ms: NOW });
  const ended = noted({ type: "watching_ended", session_id: "s", at_ms: NOW + 300_000, has_talked: true });
  const still = noted({ type: "watching_began", session_id: "t", name: "Ada", browser_name: "Tablet", at_ms: NOW });
  const unknown = noted({ type: "watching_ended", session_id: "u", at_ms: NOW, has_talked: false });
  const all = [began, ended, still, unknown];
  const found = groupEvents(newestFirst(...all.map(({ one }) => one)), new Map(all.map(({ entry }) => entry)));
  assert.equal(found.length, 1);
  assert.equal(found[0].kind, "visit");
  assert.equal(found[0].told, ended.one);
  assert.deepEqual(found[0].visit, {
    ...{ name: "Anna", browser_name: "Phone", began_ms: NOW, ended_ms: NOW + 300_000, has_talked: true },
  });
});

test("another door's visit of the same number isn't this one's", () => {
  const began = noted({ type: "watching_began", session_id: "s", name: "Anna", browser_name: "Phone", at_ms: NOW });
  const ended = noted({ type: "watching_ended", session_id: "s", at_ms: NOW + 1, has_talked: false });
  ended.one.event.device = "another";
  ended.entry[1].note.device = "another";
  const found = groupEvents([began.one, ended.one], new Map([began.entry, ended.entry]));
  assert.deepEqual(found, []);
});

test("a browser that was let in or ended is a happening, and hides no ring", () => {
  const ring = pressed();
  const let_in = noted({ type: "browser_enrolled", browser: "b", name: "Phone", until_ms: NOW });
  const ended = noted({ type: "browser_ended", browser: "b", name: "Phone" });
  const history = newestFirst(ring, let_in.one, ended.one);
  const rows = foldMotion(groupEvents(history, new Map([let_in.entry, ended.entry])));
  assert.deepEqual(rows.map(({ kind, note }) => note?.type ?? kind), ["browser_ended", "browser_enrolled", "pressed"]);
});
