/**
 * Notes that come in slots: none is missed, none is read twice, and what was asked outlasts a visit.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { Household } from "../../relay/owner_app/household.js";
import { holdsOf, settingsOf, warningsOf } from "../../relay/owner_app/decision_notes.js";
import { knownBrowsers } from "../../relay/owner_app/known_browsers.js";
import { looksIn } from "../../relay/owner_app/views/looked.js";
import { forgetNotes, NoteStore } from "../../relay/owner_app/note_store.js";
import { b64u, canonical, deviceIdOf, newId, unb64u, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { derSignature } from "../../relay/owner_app/vendor/protocol/p256.js";
import { newSealingPair, rawPublicKey, sealTo } from "../../relay/owner_app/vendor/protocol/sealing.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

const ES256 = { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" };
const NOW = 1_790_000_000_000;

/** Books that would write themselves down a moment later, into the next test's memory. */
const books = [];

/** A doorbell, a browser, and a relay that keeps its notes and counts what it is asked for. */
async function home() {
  for (const book of books.splice(0)) book.close();
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
  const said = { page: 200, newest: Infinity, gone: [] };
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
    const listed = said.gone.length > 0 ? [] : [{ device, identity_key, sealing_key }];
    if (path === "doorbells") return { doorbells: listed, gone: said.gone };
    if (path.startsWith("events")) return { events: [] };
    const query = new URLSearchParams(path.split("?")[1]);
    const after = Number(query.get("after")?.split(".")[1] ?? query.get("after_seq"));
    asked.push(after);
    const all = notes.filter(({ relay_seq }) => relay_seq > after);
    const events = all.slice(0, said.page);
    const next = events.at(-1)?.relay_seq ?? Math.min(after, notes.length, said.newest);
    return { events, next: `${device}.${next}`, has_more: all.length > said.page };
  };
  const visit = async () => {
    const household = new Household({ get, put: async () => null }, { credential_id: "c" });
    household.browser = { id: "mine", pairs: { viewing } };
    books.push(household.book);
    await household.heard();
    return household;
  };
  return { visit, tell, asked, said, notes, database, device };
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

test("a number that was kept before each doorbell had its own is taken once", async () => {
  const { visit, tell, asked, database } = await home();
  for (let slot = 0; slot < 3; slot += 1) await tell({ type: "nothing" });
  database.kept.set("notes:c", { seq: 2, kept: [] });
  const household = await visit();
  assert.deepEqual([asked, household.book.seq], [[2], 0]);
  assert.match(household.book.query, /^after=[a-z2-7]{20}\.3$/);
  assert.deepEqual(Object.keys(database.kept.get("notes:c")).sort(), ["after", "kept"]);
});

test("another relay isn't told up to where this one's notes were read", async () => {
  const { visit, tell, database } = await home();
  await tell(matched("d"));
  await visit();
  const at = async (relay) => {
    const book = new NoteStore("c", relay);
    await book.read();
    return book.query;
  };
  assert.match(await at("https://a.example/api/v1/"), /^after=/); // as it was kept before there were several
  assert.equal(await at("https://b.example/api/v1/"), "after_seq=0");
  assert.match(await at("https://a.example/api/v1/"), /^after=/);
  assert.equal(database.kept.has("notes:c"), false);
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

const settings = (revision) => ({ type: "settings_now", statement_digest: "s", settings: { revision, is_opted_in: true }, at_ms: 1 });
const held = { type: "holds_now", statement_digest: "s", holds: [{ hold_digest: "h", from_ms: 1, to_ms: 2, until_ms: NOW * 2 }] };
const recovered = { type: "recovery_used", name: "Eve", at_ms: NOW };

test("what counts now, and what warns, is known however many notes came since", async () => {
  const { visit, tell, notes, database, device } = await home();
  await tell(settings(8)); // told after it, and replaced by it
  await tell(settings(7), NOW + 1);
  await tell(held);
  await tell(recovered);
  await tell({ type: "owner_removed", name: "Nora", by_name: "Mary" });
  for (let n = 0; n < 320; n += 1) await tell({ type: "statement_done", statement_digest: `d${n}` }, NOW + 2);
  await visit();
  notes.splice(0, 305); // the relay has forgotten most of them
  await tell({ type: "statement_done", statement_digest: "last" }, NOW + 3);
  const household = await visit();
  assert.equal(settingsOf(household, device).settings.revision, 8);
  assert.equal(holdsOf(household, device, NOW).length, 1);
  assert.deepEqual(warningsOf(household, device).map(({ note }) => note.body.type).sort(), ["owner_removed", "recovery_used"]);
  assert.equal(database.kept.get("notes:c").kept.length, 300 + 5);
});

test("a relay that says once that a doorbell is gone takes nothing from the book; its owner does", async () => {
  const { visit, tell, said, notes, device } = await home();
  await tell(settings(3));
  await tell(matched("d"));
  const household = await visit();
  said.gone = [{ device, name: "Door", since_ms: NOW }];
  await household.load();
  await household.reading;
  assert.deepEqual([digests(household), household.notes.size], [[], 0]);
  await visit();
  said.gone = [];
  notes.length = 0;
  await household.load();
  assert.deepEqual(digests(household), ["d"]);
  const next = await visit();
  assert.equal(settingsOf(next, device).settings.revision, 3);
  await next.forgetDoor(device);
  assert.equal(next.notes.size, 0);
  assert.equal((await visit()).notes.size, 0);
});

test("locks of the door number push no other warning off: only the newest of them warns", async () => {
  const { visit, tell, device } = await home();
  await tell(recovered);
  for (let day = 1; day <= 8; day += 1) await tell({ type: "door_locked", wrong_total: 5 * day, until_ms: null, needs_button: false }, NOW + day);
  const household = await visit();
  const told = warningsOf(household, device).map(({ note: { body } }) => [body.type, body.wrong_total]);
  assert.deepEqual(told, [["door_locked", 40], ["recovery_used", undefined]]);
});

const DAY = 24 * 3600 * 1000;
const right = (browser, until_ms) => ({ type: "browser_enrolled", browser, name: browser, by_name: "Mary", holder: "guest", what: ["live"], from_ms: NOW, until_ms });

test("a right that counts is known however many watched since, one that was ended isn't", async () => {
  const { visit, tell, notes } = await home();
  const farMs = Date.now() + 300 * DAY;
  await tell(right("gus", farMs));
  await tell(right("eve", farMs));
  await tell({ type: "browser_ended", browser: "eve", name: "eve" }, NOW + 1);
  await tell(matched("d"));
  for (let watch = 0; watch < 310; watch += 1) await tell({ type: "watching_began", session_id: `s${watch}`, name: "Ada", browser_name: "x", holder: "owner", at_ms: NOW });
  await visit();
  notes.length = 0; // the relay has forgotten them all
  const household = await visit();
  assert.deepEqual(knownBrowsers(household, Date.now()).map(({ browser, holder }) => [browser, holder]), [["gus", "guest"]]);
  assert.deepEqual(digests(household), ["d"]); // who watched goes first
});

test("who watched is told with its end, the newest first", () => {
  const note = (body) => [body.session_id + body.type, { note: { device: "d", body }, time_ms: NOW }];
  const began = (session_id, at_ms) => ({ type: "watching_began", session_id, name: "Gus", browser_name: "Gus", holder: "guest", at_ms });
  const ended = { type: "watching_ended", session_id: "a", at_ms: NOW + 5, has_talked: true };
  const looks = looksIn({ notes: new Map([note(began("a", NOW)), note(ended), note(began("b", NOW + 9))]) });
  assert.deepEqual(looks.map((look) => [look.began.session_id, look.ended?.at_ms]), [["b", undefined], ["a", NOW + 5]]);
});
