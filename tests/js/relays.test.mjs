/**
 * The relays that the app may be for: who is named counts, each has an account of its own, and what
 * is stored of one goes to no other.
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { memoryDatabase } from "../fakes/memory_database.mjs";

const kept = new Map();
globalThis.localStorage = new Proxy({
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => void kept.set(key, value),
  removeItem: (key) => void kept.delete(key),
}, {
  ownKeys: () => [...kept.keys()],
  getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
});
const { RelayUnreachable, UnknownRelay, chooseOnceAsked, chooseRelay, chosenRelay, relayOf, relayToOpen } = await import("../../relay/owner_app/relays.js");
const { endedSession, isSignedInAt, loadAccount, mayBeSignedIn, rememberEndedSession, saveAccount, useAccountAt } = await import("../../relay/owner_app/account.js");
const { Relay } = await import("../../relay/owner_app/api.js");
const { Feed } = await import("../../relay/owner_app/feed.js");
const { readFeedChoice, writeFeedChoice } = await import("../../relay/owner_app/feed_choice.js");
const { forgetFeed, placeOf, rememberPlace } = await import("../../relay/owner_app/feed_place.js");
const snapshot = await import("../../relay/owner_app/snapshot.js");
const { NoteStore } = await import("../../relay/owner_app/note_store.js");
const { readWorkerStores, readPush, writePush, writeWorkerStore } = await import("../../relay/owner_app/worker_store.js");

const A = "https://a.example";
const B = "https://b.example";

/** What each relay's configuration is answered with, and what was asked. */
let answers = {};
let asked = [];

beforeEach(() => {
  kept.clear();
  globalThis.indexedDB = memoryDatabase();
  Object.defineProperty(globalThis, "navigator", { value: { locks: { request: async (name, work) => work() } }, configurable: true });
  answers = { [A]: () => new Response('{"relay_name": "A"}'), [B]: () => new Response('{"relay_name": "B"}') };
  asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    return answers[new URL(url).origin]();
  };
});

const ada = (token) => ({ token, owner: { name: "Ada", credential_id: "c" } });
const signInAt = (relay, token) => {
  useAccountAt(relay);
  saveAccount(ada(token));
};
const tokenAt = (relay) => {
  useAccountAt(relay);
  return loadAccount()?.token;
};

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

for (const relays of [[A, B], [B, A]]) {
  for (const chosen of relays) {
    test(`an account from before there were several relays is the first one's: ${relays.map((one) => new URL(one).host)}, with ${new URL(chosen).host} open`, async () => {
      kept.set("doorward.account", JSON.stringify(ada("from before")));
      assert.ok(mayBeSignedIn());
      chooseRelay(relays, chosen);
      assert.equal(await relayToOpen(relays, null), chosen);
      assert.deepEqual(relays.map(tokenAt), ["from before", undefined]);
      assert.deepEqual(asked, []);
    });
  }
}

test("an account from before takes no newer one's place", async () => {
  signInAt(A, "newer");
  kept.set("doorward.account", JSON.stringify(ada("from before")));
  await relayToOpen([A, B], null);
  assert.equal(tokenAt(A), "newer");
  assert.ok(!kept.has("doorward.account"));
});

test("a relay that doesn't answer isn't chosen: down, behind a broken proxy, or not it", async () => {
  const broken = [() => Promise.reject(new TypeError("no network")), () => new Response("", { status: 502 }), () => new Response("<title>", { status: 200 })];
  for (const answer of broken) {
    answers[B] = answer;
    await assert.rejects(chooseOnceAsked([A, B], B), RelayUnreachable);
    await assert.rejects(relayToOpen([A, B], B), RelayUnreachable);
    assert.equal(relayOf([A, B]), A);
  }
});

test("a relay is chosen once it has answered, and what it says is kept for the next start", async () => {
  await chooseOnceAsked([A, B], B);
  assert.equal(relayOf([A, B]), B);
  assert.equal(kept.get(`doorward.relay.${B}`), '{"relay_name":"B"}');
});

test("a link to a relay that isn't named is refused before anything is sent", async () => {
  for (const relays of [[A], [A, B]]) {
    await assert.rejects(relayToOpen(relays, "https://evil.example"), (error) => error instanceof UnknownRelay && error.relay === "https://evil.example");
  }
  assert.deepEqual(asked, []);
  assert.equal(relayOf([A, B]), A);
});

test("a link to a named relay opens that one, from then on", async () => {
  assert.equal(await relayToOpen([A, B], B), B);
  assert.equal(await relayToOpen([A, B], null), B);
  assert.equal(await relayToOpen([A, B], A), A);
  assert.deepEqual(asked, [`${B}/api/v1/config`, `${A}/api/v1/config`]);
});

const FORMER = "https://old.example";

test("where there is one relay, who is signed in stays so when its address changes, with notes and notifications", async () => {
  signInAt(FORMER, "theirs");
  kept.set(`doorward.relay.${FORMER}`, '{"relay_name": "A"}');
  const notes = new NoteStore("c", `${FORMER}/api/v1/`);
  await notes.read();
  notes.goOn("far");
  await notes.write();
  await writeWorkerStore({ relay_url: FORMER, doorbells: [] });
  await writePush(FORMER, { kinds: ["pressed"] });
  assert.equal(await relayToOpen([A], null), A);
  assert.deepEqual([tokenAt(A), tokenAt(FORMER)], ["theirs", undefined]);
  const moved = new NoteStore("c", `${A}/api/v1/`);
  await moved.read();
  assert.equal(moved.after, "far");
  assert.deepEqual([await readWorkerStores(), (await readPush(A))?.kinds, await readPush(FORMER)], [{}, ["pressed"], undefined]);
});

test("another relay under another name gets nobody's account", async () => {
  signInAt(FORMER, "theirs");
  await relayToOpen([A], null); // nothing is known of the former one
  kept.set(`doorward.relay.${FORMER}`, '{"relay_name": "Another"}');
  await relayToOpen([A], null);
  answers[A] = () => Promise.reject(new TypeError("no network"));
  kept.set(`doorward.relay.${FORMER}`, '{"relay_name": "A"}');
  assert.equal(await relayToOpen([A], null), A);
  assert.deepEqual([tokenAt(A), tokenAt(FORMER)], [undefined, "theirs"]);
});

test("the only relay gets no account of one that it was beside, of one of two, and none over its own", async () => {
  await relayToOpen([A, B], null);
  signInAt(B, "at b");
  for (const relay of [B, FORMER, "https://older.example"]) kept.set(`doorward.relay.${relay}`, '{"relay_name": "A"}');
  await relayToOpen([A], null);
  assert.deepEqual([tokenAt(A), tokenAt(B)], [undefined, "at b"]);
  kept.delete("doorward.relays");
  kept.delete(`doorward.account.${B}`);
  signInAt(FORMER, "theirs");
  signInAt(A, "own");
  await relayToOpen([A], null);
  assert.equal(tokenAt(A), "own");
  kept.delete(`doorward.account.${A}`);
  signInAt(FORMER, "one");
  signInAt("https://older.example", "another");
  await relayToOpen([A], null);
  assert.equal(tokenAt(A), undefined);
});

test("why a session ended is said at its own relay", () => {
  useAccountAt(A);
  rememberEndedSession({ why: "over", at_ms: 1, name: "Ada" });
  useAccountAt(B);
  assert.equal(endedSession(), null);
  saveAccount(ada("at b"));
  useAccountAt(A);
  assert.equal(endedSession()?.why, "over");
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

// --- what is kept to open without a network ---

/** A household of the same passkey, of which only what a snapshot needs is there. */
function household(relay, device) {
  const restored = [];
  const one = Object.assign(new EventTarget(), { isLoaded: true, asOfMs: 0, hasContact: true, relay: new Relay(relay), owner: { credential_id: "c" } });
  return Object.assign(one, { restored, newest: () => ({ doorbells: [device], tolds: [] }), restore: async ({ doorbells }) => void restored.push(...doorbells) });
}

/** @param {ReturnType<typeof household>} home */
async function keepOnce(home) {
  const leaving = new AbortController();
  snapshot.keep(home, leaving.signal);
  home.dispatchEvent(new Event("change"));
  await new Promise((done) => setTimeout(done, 20));
  leaving.abort();
}

test("the snapshot of one relay isn't another's, though the passkey is the same", async () => {
  await keepOnce(household(A, "at a"));
  await keepOnce(household(B, "at b"));
  const [atA, atB] = [household(A), household(B)];
  await snapshot.restore(atA);
  await snapshot.forget("c", atB.relay.base);
  await snapshot.restore(atB);
  assert.deepEqual([atA.restored, atB.restored], [["at a"], []]);
});

test("the neighbours of one relay aren't another's", async () => {
  const [atA, atB] = [A, B].map((relay) => new Relay(relay));
  answers[A] = () => new Response('{"district": "lake-morton"}', { headers: { "content-type": "application/json" } });
  assert.equal(await new Feed(atA).membership(), "lake-morton");
  answers[A] = answers[B] = () => Promise.reject(new TypeError("no network"));
  assert.equal(await new Feed(atA).membership(), "lake-morton");
  await assert.rejects(new Feed(atB).membership());
  rememberPlace("c", atA.base, "cell");
  await writeFeedChoice(atA.base, { credential_id: "c" });
  assert.deepEqual([placeOf("c", atB.base), await readFeedChoice(atB.base)], [null, undefined]);
  await forgetFeed("c", atB.base);
  assert.deepEqual([placeOf("c", atA.base), await readFeedChoice(atA.base)], ["cell", { credential_id: "c" }]);
  await forgetFeed("c", atA.base);
  assert.deepEqual([placeOf("c", atA.base), await readFeedChoice(atA.base)], [null, undefined]);
});
