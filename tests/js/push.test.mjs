/**
 * Turning notifications on: the subscription's secret goes to a doorbell's own key alone.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { rememberKeys } from "../../relay/owner_app/account.js";
import { workerStoreOf } from "../../relay/owner_app/worker_registration.js";
import { NoOwnWord } from "../../relay/owner_app/orders.js";
import { keepUp, turnOn } from "../../relay/owner_app/push.js";
import { b64u, unb64u, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { newSealingPair, openSealed, rawPublicKey } from "../../relay/owner_app/vendor/protocol/sealing.js";
import { readPush, writePush } from "../../relay/owner_app/worker_store.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

const DOOR = "abcdefghijklmnopqrst";
const CHOICE = { kinds: ["pressed"], quiet: null, summary: null, silent_after_minutes: null };

/** A browser that subscribes anew under another secret each time, and a relay that keeps what it carries. */
async function browser() {
  const memory = new Map();
  globalThis.localStorage = { getItem: (key) => memory.get(key) ?? null, setItem: (key, value) => memory.set(key, value), removeItem: (key) => memory.delete(key) };
  globalThis.indexedDB = memoryDatabase();
  globalThis.document = { documentElement: { lang: "en" } };
  const [own, evil] = [await newSealingPair(), await newSealingPair()];
  const keyOf = async (pair) => b64u(await rawPublicKey(pair.publicKey));
  const session = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const carried = [];
  const relay = {
    token: "t",
    get: async () => ({ public_key: "AAAA" }),
    put: async () => null,
    post: async (path, body) => (path.endsWith("/nonce") ? { nonce: "AAAAAAAAAAAAAAAAAAAAAA" } : void carried.push(body.sealed)),
  };
  const service = { count: 0, known: null };
  const pushManager = {
    getSubscription: async () => service.known,
    subscribe: async ({ applicationServerKey }) => {
      const secret = new TextEncoder().encode(`secret-${(service.count += 1)}`);
      const endpoint = `https://push.example/${service.count}`;
      const unsubscribe = async () => (service.known = null);
      return (service.known = { endpoint, expirationTime: null, options: { applicationServerKey }, getKey: () => secret, unsubscribe });
    },
  };
  const bell = { device: DOOR, name: "Door", identity_key: "key", sealing_key: await keyOf(evil) };
  const household = { forged: new Set(), doorbells: [bell], doorbell: () => bell, relay, owner: { credential_id: "c" } };
  const parties = () => ({ relay, relayUrl: "http://r", registration: { pushManager }, browser: { id: "b", pairs: { session } }, doorbells: workerStoreOf(household, "http://r").doorbells });
  /** The doorbell's first note names its key; the relay has to name the same one then. */
  const note = async () => {
    bell.sealing_key = await keyOf(own);
    rememberKeys(DOOR, { identity_key: "key", sealing_key: bell.sealing_key });
  };
  const readBy = (pair) => openSealed(pair, unb64u(carried.at(-1)), utf8("doorward/browser-order/v1")).then((plain) => new TextDecoder().decode(plain));
  return { parties, note, carried, service, own, evil, readBy, bell };
}

test("no secret goes to a key that is just the relay's word, and nothing is turned on", async () => {
  const { parties, carried, service } = await browser();
  await assert.rejects(turnOn(parties(), CHOICE), NoOwnWord);
  assert.deepEqual([carried, service.count, await readPush("http://r")], [[], 0, undefined]);
  await writePush("http://r", { ...CHOICE, endpoint: "", told: {}, snoozed: {} });
  await keepUp(parties());
  assert.deepEqual(carried, []);
});

test("once the doorbell has named its key it is told, and with which key is kept", async () => {
  const { parties, note, own, readBy, bell } = await browser();
  await note();
  assert.deepEqual(await turnOn(parties(), CHOICE), []);
  assert.match(await readBy(own), /set_push/);
  assert.deepEqual((await readPush("http://r")).told, { [DOOR]: bell.sealing_key });
});

test("turned on at another relay they are off at the first: a browser has one subscription", async () => {
  const { parties, note } = await browser();
  await note();
  await writePush("http://first", { ...CHOICE, endpoint: "", told: {}, snoozed: {} });
  assert.equal(await readPush("http://r"), undefined);
  await keepUp(parties());
  assert.notEqual(await readPush("http://first"), undefined); // a visit changes nothing
  await turnOn(parties(), CHOICE);
  assert.deepEqual([await readPush("http://first"), (await readPush("http://r")).kinds], [undefined, CHOICE.kinds]);
});

test("a secret that was told to the relay's key is of no use any more: there is another one", async () => {
  const { parties, note, carried, service, bell } = await browser();
  const { registration } = parties();
  const { endpoint } = await registration.pushManager.subscribe({ applicationServerKey: new Uint8Array(3).buffer });
  await writePush("http://r", { ...CHOICE, endpoint, told: { [DOOR]: bell.sealing_key }, snoozed: {} });
  await note();
  await keepUp(parties());
  assert.deepEqual([carried.length, service.count, service.known.endpoint], [1, 2, "https://push.example/2"]);
  await keepUp(parties());
  assert.deepEqual([carried.length, service.count], [1, 2]);
});
