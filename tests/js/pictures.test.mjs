/**
 * Which pictures a page fetches, and what becomes of those it can't show.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { ApiError, Unreachable } from "../../relay/owner_app/api.js";
import { Pictures } from "../../relay/owner_app/pictures.js";
import { WireError } from "../../relay/owner_app/vendor/protocol/encoding.js";

const DOOR = "abcdefghijklmnopqrst";
const NOW = 1_790_000_000_000;
const told = (id) => ({ event: { id, device: DOOR, time_ms: NOW, is_clock_trusted: true, body: { type: "pressed" } } });
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A household of one doorbell; `answers` give each event's picture. */
function picturesOf(answer) {
  const asked = [];
  const household = { relay: {}, owner: { credential_id: "c" }, doorbell: () => ({ identity_key: "key", sealing_key: "" }) };
  const fetched = async (relay, browser, { eventId, identityKey }) => {
    assert.equal(identityKey, "key");
    asked.push(eventId);
    return answer(eventId);
  };
  return { asked, pictures: new Pictures(household, { fetched, browser: async () => ({ id: "b" }), trusted: () => ({ identity_key: "key" }) }) };
}

const shown = async (age_ms = 0) => ({ facts: { age_ms, taken_ms: NOW - age_ms }, jpeg: Uint8Array.of(1, 2, 3) });

test("an event's picture is fetched once, however often a page is drawn", async () => {
  const { asked, pictures } = picturesOf(() => shown(7000));
  const [first, again] = await Promise.all([pictures.get(told("a")), pictures.get(told("a"))]);
  assert.equal(first, again);
  assert.equal(first.ageMs, 7000);
  assert.equal(pictures.find(told("a")), first);
  assert.deepEqual(asked, ["a"]);
});

test("at most three are fetched at a time, and all of them in the end", async () => {
  let running = 0;
  let most = 0;
  const { pictures } = picturesOf(async () => {
    most = Math.max(most, (running += 1));
    await pause();
    running -= 1;
    return shown();
  });
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => pictures.get(told(`e${i}`))));
  assert.equal(most, 3);
  assert.ok(all.every(({ state }) => state === "shown"));
});

test("what isn't for this browser, or was altered, is known; what couldn't be fetched is tried again", async () => {
  const errors = { a: new ApiError(404, "not_found", "x"), b: new WireError("x"), c: new Unreachable("x") };
  const { asked, pictures } = picturesOf(async (id) => {
    throw errors[id];
  });
  assert.deepEqual(await pictures.get(told("a")), { state: "not_for_us" });
  assert.deepEqual(await pictures.get(told("b")), { state: "altered" });
  assert.equal(await pictures.get(told("c")), null);
  for (const id of ["a", "b", "c"]) await pictures.get(told(id));
  assert.deepEqual(asked, ["a", "b", "c", "c"]);
});

test("a thousand pictures leave the memory of three hundred", async () => {
  const revoked = [];
  const before = URL.revokeObjectURL;
  URL.revokeObjectURL = (url) => revoked.push(url);
  try {
    const { pictures } = picturesOf(() => shown());
    for (let i = 0; i < 1000; i += 1) await pictures.get(told(`e${i}`));
    assert.equal(pictures.known.size, 300);
    assert.equal(revoked.length, 700);
    pictures.close();
    assert.equal(revoked.length, 1000);
  } finally {
    URL.revokeObjectURL = before;
  }
});
