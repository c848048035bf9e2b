/**
 * Which recordings a request asks for, and what is signed to give them.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { checkedSpan, requestedClips, grantTerms, partsOf, snapped } from "../../relay/owner_app/grant_terms.js";
import { Household } from "../../relay/owner_app/household.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

globalThis.indexedDB = memoryDatabase();
globalThis.navigator ??= { userAgent: "" };

const DOOR = "abcdefghijklmnopqrst";
const NOW = 1_790_000_000_000;
const ASKED = {
  request: { from_ms: NOW, to_ms: NOW + 60_000 },
  digest: "r",
  agency: { id: "lakeland", sealing_keys: ["k"] },
  device: DOOR,
};

function clip(seq, clip_id, started_ms, { digest = `d-${seq}`, corrected_ms = null, ...more } = {}) {
  const body = { type: "clip_ready", clip_id, trigger_event_id: "t", started_ms, duration_ms: 12_000 };
  const event = { v: 1, id: `id-${seq}`, device: DOOR, seq, time_ms: NOW + seq, is_clock_trusted: true };
  const told = { ...event, body: { ...body, manifest_digest: digest }, ...more };
  return { relay_seq: seq, received_ms: NOW + seq, corrected_ms, event: told };
}

/** A household that loaded these from its relay. */
async function household(...events) {
  const get = async (path) => (path === "doorbells" ? { doorbells: [] } : { events: events.toReversed() });
  const loaded = new Household({ get, put: async () => null }, { credential_id: "c" });
  await loaded.load();
  return loaded;
}

const ids = (offered) => offered.map(({ clip: { body } }) => body.clip_id);

test("what lies in the asked time can be given, oldest first, and of what reaches over the part inside", async () => {
  const all = await household(
    clip(0, "long before", NOW - 12_000),
    clip(1, "before", NOW - 1),
    clip(2, "first", NOW),
    clip(3, "last", NOW + 48_000),
    clip(4, "after", NOW + 48_001),
    clip(5, "away", NOW + 60_000),
  );
  const offered = requestedClips(all, ASKED);
  assert.deepEqual(ids(offered), ["before", "first", "last", "after"]);
  assert.deepEqual(offered.map(({ isCut }) => isCut), [true, false, false, true]);
  assert.deepEqual(offered[0].span, { from_ms: NOW, to_ms: NOW + 11_999 });
  assert.deepEqual(offered[3].span, { from_ms: NOW + 48_001, to_ms: NOW + 60_000 });
});

test("another door's recordings aren't asked for", async () => {
  const all = await household(clip(1, "theirs", NOW + 5, { device: "another" }));
  assert.deepEqual(requestedClips(all, ASKED), []);
});

test("what was dated anew is given with the times and the manifest of its newest telling", async () => {
  const untrusted = { is_clock_trusted: false, time_ms: 13_000, corrected_ms: NOW + 13_250 };
  const all = await household(
    clip(1, "c", 1000, { ...untrusted, digest: "old" }),
    clip(2, "c", NOW + 1007, { digest: "new" }),
  );
  const [range, ...more] = grantTerms(ASKED, requestedClips(all, ASKED), { withSound: false }).clips;
  assert.deepEqual(more, []);
  const times = { from_ms: NOW + 1007, to_ms: NOW + 13_007 };
  assert.deepEqual(range, { clip_id: "c", manifest_digest: "new", ...times });
});

test("what was dated out of the asked time isn't offered any more", async () => {
  const all = await household(clip(1, "c", NOW + 1000), clip(2, "c", NOW - 90_000));
  assert.deepEqual(requestedClips(all, ASKED), []);
});

test("the terms name the asking agency, its keys, no sound, nobody, and the clips in the order of time", async () => {
  const all = await household(clip(1, "late", NOW + 30_000), clip(2, "early", NOW + 1000));
  const chosen = requestedClips(all, ASKED).toReversed();
  const terms = grantTerms(ASKED, chosen, { withSound: false });
  assert.deepEqual(terms.clips.map(({ clip_id }) => clip_id), ["early", "late"]);
  assert.deepEqual(terms.recipient, { agency: "lakeland", sealing_keys: ["k"] });
  assert.deepEqual(terms.identity, { name: "", address: "", contact: "" });
  assert.equal(terms.has_audio, false);
  assert.equal(terms.request_digest, "r");
});

test("sound and identity are given only where the owner says so", async () => {
  const chosen = requestedClips(await household(clip(1, "c", NOW + 1000)), ASKED);
  const identity = { name: "Ada", address: "", contact: "" };
  const terms = grantTerms(ASKED, chosen, { withSound: true, identity });
  assert.equal(terms.has_audio, true);
  assert.deepEqual(terms.identity, identity);
});

/** A recording whose groups of pictures begin at these times (90 kHz). */
const manifest = (begins, duration_90k) => ({
  started_ms: 13_000, // before the doorbell knew the time
  duration_90k,
  gops: begins.map((first_pts_90k) => ({ first_pts_90k })),
});

test("a part begins at a border rounded down and ends at one rounded up, and the last at the recording's end", () => {
  const told = manifest([0, 90_001, 180_089], 270_089);
  const parts = partsOf(told, checkedSpan({ manifest: told, started_ms: NOW }), { from_ms: NOW, to_ms: NOW + 60_000 });
  assert.deepEqual(parts, [
    { number: 0, from_ms: NOW, to_ms: NOW + 1001 },
    { number: 1, from_ms: NOW + 1000, to_ms: NOW + 2001 },
    { number: 2, from_ms: NOW + 2000, to_ms: NOW + 3000 },
  ]);
});

test("a recording of which the doorbell doesn't say when it began has no times", () => {
  assert.equal(checkedSpan({ manifest: manifest([0], 90_000), started_ms: null }), null);
});

test("a part that reaches over the asked time by a millisecond can't be given", () => {
  const clip = manifest([0, 90_000, 180_000], 270_000);
  const begins = (asked) => partsOf(clip, { from_ms: NOW, to_ms: NOW + 3000 }, asked).map(({ from_ms }) => from_ms - NOW);
  assert.deepEqual(begins({ from_ms: NOW, to_ms: NOW + 3000 }), [0, 1000, 2000]);
  assert.deepEqual(begins({ from_ms: NOW + 1, to_ms: NOW + 2999 }), [1000]);
  assert.deepEqual(begins({ from_ms: NOW + 1500, to_ms: NOW + 2500 }), []);
});

test("an end that is moved goes inwards to the next border, and never past the other one", () => {
  const parts = [0, 1, 2, 3].map((number) => ({ number, from_ms: NOW + number * 1000, to_ms: NOW + number * 1000 + 1001 }));
  const all = { first: 0, last: 3 };
  assert.deepEqual(snapped(parts, all, "from", NOW + 1), { first: 1, last: 3 });
  assert.deepEqual(snapped(parts, all, "from", NOW + 1000), { first: 1, last: 3 });
  assert.deepEqual(snapped(parts, all, "to", NOW + 2999), { first: 0, last: 1 });
  assert.deepEqual(snapped(parts, all, "to", NOW + 99_000), all);
  assert.deepEqual(snapped(parts, { first: 1, last: 2 }, "from", NOW + 99_000), { first: 2, last: 2 });
  assert.deepEqual(snapped(parts, { first: 1, last: 2 }, "to", NOW), { first: 1, last: 1 });
});
