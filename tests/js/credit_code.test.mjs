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
const { creditCode } = await import("../../relay/owner_app/account.js");
const { handIn, handInKept } = await import("../../relay/owner_app/credit_code.js");

const owner = { credential_id: "Y3JlZA", name: "Ada" };

/** A relay's client that answers so. @param {Error | null} answer */
function relayThat(answer) {
  const sent = [];
  const post = async (path, body) => {
    sent.push([path, body]);
    if (answer !== null) throw answer;
  };
  return { sent, post };
}

test.beforeEach(() => stored.clear());

test("a code that counts is sent as it is kept, and forgotten", async () => {
  const relay = relayThat(null);
  assert.equal(await handIn(relay, owner, " spring-26 "), "counted");
  assert.deepEqual(relay.sent, [["credits/sign-up", { code: "SPRING-26" }]]);
  assert.equal(creditCode(owner), null);
});

for (const code of ["credit_too_early", "credit_doorbell_missing"]) {
  test(`a code waits while the relay says ${code}`, async () => {
    assert.equal(await handIn(relayThat(new ApiError(409, code, "")), owner, "SPRING"), "waits");
    assert.equal(creditCode(owner)?.code, "SPRING");
  });
}

test("a code waits while the relay is away", async () => {
  await assert.rejects(handIn(relayThat(new Unreachable("away")), owner, "SPRING"), Unreachable);
  assert.equal(creditCode(owner)?.code, "SPRING");
});

for (const [status, code] of [[409, "credit_code_unknown"], [403, "credit_portal_login"], [422, "invalid"]]) {
  test(`a code isn't kept once the relay says ${code}`, async () => {
    await assert.rejects(handIn(relayThat(new ApiError(status, code, "")), owner, "SPRING"), ApiError);
    assert.equal(creditCode(owner), null);
  });
}

test("a kept code is tried again once a day", async () => {
  await handIn(relayThat(new ApiError(409, "credit_too_early", "")), owner, "SPRING");
  const relay = relayThat(null);
  await handInKept(relay, owner);
  assert.deepEqual(relay.sent, []);
  const [key] = stored.keys();
  stored.set(key, JSON.stringify({ code: "SPRING", tried_ms: Date.now() - 25 * 3600 * 1000 }));
  await handInKept(relay, owner);
  assert.equal(relay.sent.length, 1);
  assert.equal(creditCode(owner), null);
});
