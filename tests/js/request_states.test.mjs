/** How the list says that a request stands, by what was signed here and by what doorbell and relay tell. */
import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";

import { rememberDecision } from "../../relay/owner_app/sent_decisions.js";
import { CONFIRM_MS, standingOf } from "../../relay/owner_app/request_states.js";

const NOW = 1_790_000_000_000;
const DOOR = "abcdefghijklmnopqrst";
const MATCH = { device: DOOR, request_digest: "r" };
const REQUEST = { from_ms: NOW - 10_000, to_ms: NOW - 5000, expires_ms: NOW + 3_600_000 };

/** @type {Map<string, string>} */
const stored = new Map();
globalThis.localStorage = /** @type {any} */ ({
  getItem: (/** @type {string} */ key) => stored.get(key) ?? null,
  setItem: (/** @type {string} */ key, /** @type {string} */ value) => stored.set(key, value),
});
beforeEach(() => stored.clear());

/** What a household shows after its doorbell told these, in this order. @param {any[]} bodies */
function household(...bodies) {
  const notes = new Map(bodies.map((body, n) => [`n${n}`, { note: { device: DOOR, told_ms: NOW + n, body }, time_ms: NOW + n }]));
  const notesOn = (/** @type {string} */ digest) => [...notes.values()].filter(({ note }) => note.body.statement_digest === digest);
  return /** @type {any} */ ({ notes, notesOn });
}

/** @param {any} told @param {{state?: string, package?: string, nowMs?: number}} [how] */
function stateOf(told, { state = "open", package: packageState = "", nowMs = NOW } = {}) {
  const item = /** @type {any} */ ({ state, request: REQUEST, agency: { id: "lakeland" } });
  return standingOf(told, item, /** @type {any} */ (MATCH), /** @type {any} */ ({ of: () => packageState }), nowMs).state;
}

const sign = (/** @type {"grant" | "revoke" | "decline"} */ kind) => rememberDecision(DOOR, "r", kind, { digest: kind, signed_ms: NOW });
const done = (/** @type {string} */ kind, about = "r") => ({ type: "statement_done", statement_digest: kind, kind, about });
const RELEASED = { type: "released", statement_digest: "grant", request_digest: "r", package_id: "p" };
const WANTED = { type: "confirmation_wanted", statement_digest: "grant", door_page: "http://door.test" };
const REFUSED = { type: "statement_refused", statement_digest: "grant", reason: "clock", detail: "" };

test("a request that nobody answered is open, and over when it ends or is withdrawn", () => {
  assert.equal(stateOf(household()), "open");
  assert.equal(stateOf(household(), { nowMs: REQUEST.expires_ms }), "expired");
  assert.equal(stateOf(household(), { state: "withdrawn" }), "withdrawn");
});

test("a no counts once the doorbell said so", () => {
  sign("decline");
  assert.equal(stateOf(household()), "declining");
  assert.equal(stateOf(household(done("decline"))), "declined");
});

test("a hold counts as long as it covers all of the asked time", () => {
  const hold = (/** @type {number} */ to_ms) => ({ type: "holds_now", statement_digest: "h", holds: [{ from_ms: REQUEST.from_ms, to_ms, until_ms: NOW + 99 }] });
  assert.equal(stateOf(household(hold(REQUEST.to_ms))), "held");
  assert.equal(stateOf(household(hold(REQUEST.to_ms - 1))), "open");
  assert.equal(stateOf(household(hold(REQUEST.to_ms)), { nowMs: NOW + 99 }), "open");
});

test("a grant is followed from the signature to what the relay says of its package", () => {
  sign("grant");
  assert.equal(stateOf(household()), "signed");
  assert.equal(stateOf(household(WANTED)), "confirm");
  assert.equal(stateOf(household(WANTED), { nowMs: NOW + CONFIRM_MS }), "lapsed");
  assert.equal(stateOf(household(REFUSED)), "refused");
  const told = household(WANTED, RELEASED);
  const states = ["", "uploading", "delivered", "downloaded", "erased", "not_taken"].map((state) => stateOf(told, { package: state }));
  assert.deepEqual(states, ["on_its_way", "on_its_way", "delivered", "fetched", "erased", "not_taken"]);
});

test("what was given stays given once the request is over, and what wasn't confirmed is over with it", () => {
  sign("grant");
  assert.equal(stateOf(household(RELEASED), { state: "expired", package: "downloaded" }), "fetched");
  assert.equal(stateOf(household(WANTED), { state: "expired", nowMs: NOW + CONFIRM_MS }), "expired");
});

test("what is taken back says so once the doorbell did it", () => {
  sign("grant");
  sign("revoke");
  assert.equal(stateOf(household(RELEASED)), "taking_back");
  assert.equal(stateOf(household(RELEASED, done("revoke", "grant"))), "taken_back");
});

test("another owner's answer is told of as theirs, and only of this request", () => {
  assert.equal(stateOf(household(done("decline"))), "household_declined");
  assert.equal(stateOf(household(done("decline", "another"))), "open");
  assert.equal(stateOf(household(RELEASED)), "household_given");
  assert.equal(stateOf(household(done("decline"), RELEASED)), "household_given");
  assert.equal(stateOf(household(RELEASED, done("revoke", "grant"))), "household_taken_back");
});
