// The app's time: an invented town's where the relay says that it is one, and nobody else's.
import assert from "node:assert/strict";
import { test } from "node:test";

import { setClockOffset, livesIn, nowMs } from "../../relay/owner_app/town_time.js";

const WEEK_MS = 7 * 24 * 3600 * 1000;

/** @param {number} aheadMs */
function isAhead(aheadMs) {
  return Math.abs(nowMs() - Date.now() - aheadMs) < 1000;
}

test("an invented town's clock is believed where every page says that it is one", () => {
  livesIn("example.lakeland");
  setClockOffset(String(WEEK_MS));
  assert.ok(isAhead(WEEK_MS));
  setClockOffset(null); // another server's answer, or a cached one
  assert.ok(isAhead(WEEK_MS));
});

// Seen to fail with `isExample` out of `nowMs`.
test("a relay that winds the app's clock elsewhere changes nothing", () => {
  for (const town of [undefined, "", "doorward.example.org", "examples.town"]) {
    livesIn(town);
    setClockOffset(String(WEEK_MS));
    assert.ok(isAhead(0), town);
  }
});

test("what isn't a time, or is beyond three years, is none", () => {
  livesIn("example.lakeland");
  setClockOffset("0");
  for (const said of ["", "-5", "1e9", "9".repeat(13), "NaN", " 7"]) {
    setClockOffset(said);
    assert.ok(isAhead(0), said);
  }
  setClockOffset("9".repeat(12));
  assert.ok(isAhead(3 * 366 * 24 * 3600 * 1000));
  setClockOffset("0");
});
