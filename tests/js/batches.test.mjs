/** When a release goes: as the doorbell has it, tests/firmware/test_batches.py. */
import assert from "node:assert/strict";
import test from "node:test";

import { nextBatchFrom, releaseEnd } from "../../relay/owner_app/batches.js";

const BATCH_MS = 15 * 60_000;

test("a release goes with the first batch whose end is half a minute away", () => {
  const begin = 1_000 * BATCH_MS;
  assert.equal(releaseEnd(begin, BATCH_MS), begin + BATCH_MS);
  assert.equal(releaseEnd(begin + BATCH_MS - 30_001, BATCH_MS), begin + BATCH_MS);
  assert.equal(releaseEnd(begin + BATCH_MS - 30_000, BATCH_MS), begin + 2 * BATCH_MS);
  assert.equal(releaseEnd(begin + 749, 1_000), begin + 1_000);
  assert.equal(releaseEnd(begin + 750, 1_000), begin + 2_000);
  assert.equal(releaseEnd(begin + 1, 0), begin + 1);
});

test("a confirmation goes with a later batch from half a minute before the end", () => {
  const begin = 1_000 * BATCH_MS;
  const from = nextBatchFrom(begin, BATCH_MS);
  assert.equal(from, begin + BATCH_MS - 30_000);
  assert.equal(releaseEnd(from - 1, BATCH_MS), begin + BATCH_MS);
  assert.equal(releaseEnd(from, BATCH_MS), begin + 2 * BATCH_MS);
  assert.equal(nextBatchFrom(from, BATCH_MS), from + BATCH_MS);
});
