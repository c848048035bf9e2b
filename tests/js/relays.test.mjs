/** The relays that the app may be for: who is named counts, and each has an account of its own. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const kept = new Map();
globalThis.localStorage = new Proxy({
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => void kept.set(key, value),
  removeItem: (key) => void kept.delete(key),
}, {
  ownKeys: () => [...kept.keys()],
  getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
});
const { chooseRelay, chosenRelay, relayOf } = await import("../../relay/owner_app/relays.js");
const { isSignedInAt, loadAccount, mayBeSignedIn, saveAccount, useAccountAt } = await import("../../relay/owner_app/account.js");

const A = "https://a.example";
const B = "https://b.example";

beforeEach(() => kept.clear());

test("the first relay is asked until another is chosen", () => {
  assert.equal(relayOf([A, B]), A);
  chooseRelay([A, B], B);
  assert.equal(relayOf([A, B]), B);
  chooseRelay([A, B], A);
  assert.equal(chosenRelay(), null);
});

test("a relay that isn't named any more is asked nothing", () => {
  chooseRelay([A, B], B);
  assert.equal(relayOf([A]), A);
  assert.equal(chosenRelay(), null);
});

test("no relay gets the token of another one, in whichever order the app names them", () => {
  useAccountAt(A);
  saveAccount({ token: "at a", owner: { name: "Ada" } });
  useAccountAt(B);
  assert.equal(loadAccount(), null);
  assert.ok(mayBeSignedIn() && !isSignedInAt(B));
});

test("an account from before there were several relays is the one's at which it is loaded first", () => {
  kept.set("doorward.account", JSON.stringify({ token: "from before", owner: { name: "Ada" } }));
  assert.ok(mayBeSignedIn());
  useAccountAt(A);
  assert.equal(loadAccount()?.token, "from before");
  useAccountAt(B);
  assert.equal(loadAccount(), null);
});

test("each relay has an account of its own", () => {
  useAccountAt(A);
  saveAccount({ token: "at a", owner: { name: "Ada" } });
  useAccountAt(B);
  assert.equal(loadAccount(), null);
  assert.ok(isSignedInAt(A) && !isSignedInAt(B));
  saveAccount({ token: "at b", owner: { name: "Ada" } });
  useAccountAt(A);
  assert.equal(loadAccount()?.token, "at a");
});
