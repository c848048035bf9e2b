/**
 * Notes that come in slots: none is missed, none is read twice, and what was asked outlasts a visit.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { Household } from "../../relay/owner_app/household.js";
import { forgetNotes } from "../../relay/owner_app/note_book.js";
import { b64u, canonical, deviceIdOf, newId, unb64u, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { derSignature } from "../../relay/owner_app/vendor/protocol/passkeys.js";
import { newSealingPair, rawPublicKey, sealTo } from "../../relay/owner_app/vendor/protocol/sealing.js";

const ES256 = { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" };
const NOW = 1_790_000_000_000;

/** IndexedDB as far as the key store uses it. */
function memoryDatabase(kept = new Map()) {
  const answer = (result) => {
    const request = { result };
    queueMicrotask(() => request.onsuccess());
    return request;
  };
  const store = {
    get: (name) => answer(structuredClone(kept.get(name))),
    put: (value, name) => answer(kept.set(name, structuredClone(value)) && undefined),
    delete: (name) => answer(kept.delete(name) && undefined),
  };
  const database = { transaction: () => ({ objectStore: () => store }), close: () => {} };
  return { kept, open: () => answer(database) };
}

/** A doorbell, a browser, and a relay that keeps its notes and counts what it is asked for. */
async function home() {
  const remembered = new Map();
  globalThis.localStorage = {
    getItem: (key) => remembered.get(key) ?? null,
    setItem: (key, value) => remembered.set(key, value),
  };
  const database = memoryDatabase();
  globalThis.indexedDB = database;
  const pair = await crypto.subtle.generateKey(ES256, false, ["sign", "verify"]);
  const identity_key = b64u(new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)));
  const sealing_key = b64u(await rawPublicKey((await newSealingPair()).publicKey));
  const device = await deviceIdOf(unb64u(identity_key));
  const viewing = await newSealingPair();
  const notes = [];
  const asked = [];
  const said = { page: 200, newest: Infinity };
  const tell = async (body, told_ms = NOW) => {
    const text = canonical({ device, id: newId(), told_ms, sealing_key, body });
    const raw = await crypto.subtle.sign(ES256, pair.privateKey, utf8(`doorward/note/v1\0${text}`));
    const signed = canonical({ note: text, signature: b64u(derSignature(new Uint8Array(raw))) });
    const sealed = b64u(await sealTo(await rawPublicKey(viewing.publicKey), utf8(signed.padEnd(2560)), utf8("doorward/note/v1")));
    const relay_seq = notes.length + 1;
    const event = { id: newId(), device, seq: relay_seq, time_ms: told_ms, is_clock_trusted: true, body: { type: "note", credential_id: "c", browser: "mine", sealed } };
    notes.push({ relay_seq, received_ms: NOW, corrected_ms: null, event });
  };
  const get = async (path) => {
    if (path === "doorbells") return { doorbells: [{ device, identity_key, sealing_key }] };
    if (path.startsWith("events")) return { events: [] };
    const after = Number(new URLSearchParams(path.split("?")[1]).get("after_seq"));
    asked.push(after);
    const all = notes.filter(({ relay_seq }) => relay_seq > after);
    const events = all.slice(0, said.page);
    const next_seq = events.at(-1)?.relay_seq ?? Math.min(after, notes.length, said.newest);
    return { events, next_seq, has_more: all.length > said.page };
  };
  const visit = async () => {
    const household = new Household({ get }, { credential_id: "c" });
    household.browser = { id: "mine", pairs: { viewing } };
    await household.heard();
    return household;
  };
  return { visit, tell, asked, said, notes, database };
}

const matched = (request_digest) => ({
  type: "requests_matched",
  requests: [{ request_id: "r", request_digest, agency_name: "Lakeland Police", is_emergency: false, is_reminder: false }],
});
const digests = ({ matches }) => matches.map(({ request_digest }) => request_digest);

test("a request that was told in a slot is known, however many slots said nothing since", async () => {
  const { visit, tell, said, asked } = await home();
  await tell(matched("d"));
  for (let slot = 0; slot < 7; slot += 1) await tell({ type: "nothing" });
  said.page = 3;
  const household = await visit();
  assert.deepEqual([digests(household), asked], [["d"], [0, 3, 6]]);
  assert.equal(household.told.size, 0); // it pushes no event out of sight
});

test("at the next visit it is known without the relay, and only what is new is asked for", async () => {
  const { visit, tell, notes, asked } = await home();
  await tell(matched("d"));
  await tell({ type: "nothing" });
  await visit();
  notes[0] = { ...notes[0], relay_seq: 0 }; // the relay has forgotten it
  await tell(matched("e"));
  const household = await visit();
  assert.deepEqual([digests(household).sort(), asked], [["d", "e"], [0, 2]]);
});

test("what is kept stays sealed, and goes when its owner signs out", async () => {
  const { visit, tell, database } = await home();
  await tell(matched("digest-of-a-request"));
  const household = await visit();
  const [[, pages]] = [...database.kept].filter(([name]) => name === "notes:c");
  assert.equal(pages.kept.length, 1);
  assert.doesNotMatch(JSON.stringify(pages), /digest-of-a-request|Lakeland/);
  household.book.close();
  await forgetNotes("c");
  await household.book.write();
  assert.equal(database.kept.has("notes:c"), false);
});

test("a relay that counts anew is read from where it begins", async () => {
  const { visit, tell, notes, asked } = await home();
  for (let slot = 0; slot < 5; slot += 1) await tell({ type: "nothing" });
  await visit();
  notes.length = 0;
  await visit();
  await tell(matched("d"));
  assert.deepEqual([digests(await visit()), asked], [["d"], [0, 5, 0]]);
});

test("two loads at once read no note twice", async () => {
  const { visit, tell } = await home();
  await tell(matched("d"));
  const household = await visit();
  await tell(matched("e"));
  await Promise.all([household.load(), household.load()]);
  await household.reading;
  assert.deepEqual(digests(household), ["d", "e"]);
  assert.equal(household.unopenedNotes, 0);
});
