/**
 * A partner's code: kept in this browser until the relay takes it, and forgotten once it has.
 */
import assert from "node:assert/strict";
import test from "node:test";

const stored = new Map();
globalThis.localStorage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => void stored.set(key, value),
  removeItem: (key) => void stored.delete(key),
};

const { ApiError, Unreachable } = await import("../../relay/owner_app/api.js");
const { CodeRefused, creditCode, handIn, handInKept } = await import("../../relay/owner_app/credit_code.js");

const owner = { credential_id: "Y3JlZA", name: "Ada" };
const codes = ["AUTUMN", "SPRING-26"];

/** A relay's client: how this owner stands, and what a sign-up is answered with. @param {string} state @param {Error | null} answer */
function relayThat(state, answer = null) {
  const sent = [];
  const get = async () => ({ state, from_ms: state === "waiting" ? 5 : null, codes });
  const post = async (path, body) => {
    sent.push([path, body]);
    if (answer !== null) throw answer;
  };
  return { sent, get, post };
}

/** Lets a day go by since the code was tried. */
function aDayLater() {
  for (const [key, text] of stored) stored.set(key, JSON.stringify({ ...JSON.parse(text), tried_ms: 0 }));
}

test.beforeEach(() => stored.clear());

test("a code that counts is sent as it is known, and forgotten", async () => {
  const relay = relayThat("ready");
  assert.equal(await handIn(relay, owner, " spring-26 "), "counted");
  assert.deepEqual(relay.sent, [["credits/sign-up", { code: "SPRING-26" }]]);
  assert.equal(creditCode(owner), null);
});

for (const state of ["waiting", "missing"]) {
  test(`the relay isn't told of a code while the doorbell is ${state}`, async () => {
    const relay = relayThat(state);
    assert.equal(await handIn(relay, owner, "AUTUMN"), "waits");
    assert.deepEqual(relay.sent, []);
    assert.equal(creditCode(owner)?.code, "AUTUMN");
  });
}

test("the relay isn't told of a code that no campaign has, and it isn't kept", async () => {
  const relay = relayThat("ready");
  await assert.rejects(handIn(relay, owner, "HUNTER2"), CodeRefused);
  assert.deepEqual(relay.sent, []);
  assert.equal(creditCode(owner), null);
});

test("a code is kept while the relay is away", async () => {
  await assert.rejects(handIn(relayThat("ready", new Unreachable("away")), owner, "AUTUMN"), Unreachable);
  assert.equal(creditCode(owner)?.code, "AUTUMN");
});

test("a code isn't kept once the relay refuses it", async () => {
  const relay = relayThat("ready", new ApiError(403, "credit_portal_login", ""));
  await assert.rejects(handIn(relay, owner, "AUTUMN"), { code: "credit_portal_login" });
  assert.equal(creditCode(owner), null);
});

test("a kept code is tried once a day", async () => {
  await handIn(relayThat("waiting"), owner, "AUTUMN");
  const relay = relayThat("ready");
  await handInKept(relay, owner);
  assert.deepEqual(relay.sent, []);
  aDayLater();
  await handInKept(relay, owner);
  assert.equal(relay.sent.length, 1);
  assert.equal(creditCode(owner), null);
});

test("a kept code that is refused is kept for the page to say so, and not tried again", async () => {
  await handIn(relayThat("waiting"), owner, "AUTUMN");
  aDayLater();
  const relay = relayThat("used", new ApiError(409, "credit_doorbell_used", ""));
  await handInKept(relay, owner);
  assert.equal(creditCode(owner)?.refused, "credit_doorbell_used");
  aDayLater();
  await handInKept(relay, owner);
  assert.equal(relay.sent.length, 1);
});
