/**
 * Which grants are withdrawn before an account goes: one's own, as long as nobody has fetched them.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { openGrants } from "../../relay/owner_app/account_deletion.js";

const [DOOR, OTHER] = ["d".repeat(20), "e".repeat(20)];
const note = (body, device = DOOR) => ({ note: { device, body } });
const released = (statement_digest, package_id, device) => note({ type: "released", statement_digest, request_digest: "r", package_id }, device);
const of = (notes, packages, { here = {}, alone = [DOOR] } = {}) =>
  openGrants(notes, packages, Object.keys(here).map((request_digest) => ({ device: DOOR, request_digest })), {
    signedHere: ({ request_digest }) => here[request_digest],
    isAlone: (device) => alone.includes(device),
  }).map(({ digest }) => digest);

test("where nobody else owns the doorbell, all that it gave and nobody fetched is withdrawn", () => {
  const notes = [released("a", "1"), released("b", "2"), released("c", "3"), released("x", "4", OTHER)];
  const packages = [{ package_id: "1", state: "delivered" }, { package_id: "2", state: "downloaded" }, { package_id: "4", state: "delivered" }];
  assert.deepEqual(of(notes, packages), ["a", "c"], "one that the relay knows nothing of yet, too");
});

test("where others own it, only what was signed in this browser is", () => {
  const notes = [released("a", "1"), released("b", "2")];
  assert.deepEqual(of(notes, [], { here: { r1: "b", r2: "waiting" }, alone: [] }), ["b", "waiting"]);
});

for (const state of ["downloaded", "erasing", "erased", "not_taken"]) {
  test(`what is ${state} can't be withdrawn any more`, () => {
    assert.deepEqual(of([released("a", "1")], [{ package_id: "1", state }], { here: { r: "a" } }), []);
  });
}

test("what was refused or taken back before isn't signed again", () => {
  const notes = [released("a", "1"), note({ type: "statement_done", statement_digest: "s", kind: "revoke", about: "a" }), note({ type: "statement_refused", statement_digest: "b", reason: "expired", detail: "" })];
  assert.deepEqual(of(notes, [], { here: { r: "b" } }), []);
});
