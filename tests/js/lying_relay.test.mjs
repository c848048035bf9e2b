/**
 * What the owner's app believes of a relay that lies: no note that the doorbell didn't sign, none
 * twice, and no key that isn't the doorbell's; and that it signs nothing of the relay's.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { nameOf } from "../../relay/owner_app/door_names.js";
import { comparedKeys, decisionsOn, isFirstTime } from "../../relay/owner_app/account.js";
import { rememberDecision } from "../../relay/owner_app/sent_decisions.js";
import { holdsOf, settingsOf } from "../../relay/owner_app/decision_notes.js";
import { newEmergencies } from "../../relay/owner_app/emergency.js";
import { Household } from "../../relay/owner_app/household.js";
import { useCatalog } from "../../relay/owner_app/i18n.js";
import { compare } from "../../relay/owner_app/request_comparison.js";
import { Pictures } from "../../relay/owner_app/pictures.js";
import { KeysDiffer, trustedKeys } from "../../relay/owner_app/trust.js";
import { passkeyLogin } from "../../relay/owner_app/vendor/browser/passkey.js";
import { eventText } from "../../relay/owner_app/views/events.js";
import { ageText } from "../../relay/owner_app/views/thumbs.js";
import { b64u, canonical, deviceIdOf, newId, unb64u, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { challenge } from "../../relay/owner_app/vendor/protocol/passkeys.js";
import { derSignature } from "../../relay/owner_app/vendor/protocol/p256.js";
import { newSealingPair, rawPublicKey, sealTo } from "../../relay/owner_app/vendor/protocol/sealing.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

globalThis.indexedDB = memoryDatabase();

const ES256 = { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" };
const NOW = 1_790_000_000_000;
const NOTE_BYTES = 2560;
const TAKEN = /^taken Sep 2[12], 2026/;

/** Somebody with the keys of a doorbell. */
class Signer {
  static async create() {
    const made = new Signer();
    made.pair = await crypto.subtle.generateKey(ES256, false, ["sign", "verify"]);
    made.identity = b64u(new Uint8Array(await crypto.subtle.exportKey("spki", made.pair.publicKey)));
    made.sealing = b64u(await rawPublicKey((await newSealingPair()).publicKey));
    made.device = await deviceIdOf(unb64u(made.identity));
    return made;
  }

  note(body, more = {}) {
    return { device: this.device, id: newId(), told_ms: NOW, sealing_key: this.sealing, body, ...more };
  }

  async signed(note) {
    const text = canonical(note);
    const raw = await crypto.subtle.sign(ES256, this.pair.privateKey, utf8(`doorward/note/v1\0${text}`));
    return { note: text, signature: b64u(derSignature(new Uint8Array(raw))) };
  }
}

function useTexts() {
  useCatalog("en", "en-US", { "thumb.taken": "taken {time}" });
}

/** An owner's app at a doorbell, and a relay that says what a test wants. */
async function home() {
  const remembered = new Map();
  globalThis.localStorage = {
    getItem: (key) => remembered.get(key) ?? null,
    setItem: (key, value) => remembered.set(key, value),
    removeItem: (key) => remembered.delete(key),
  };
  const [doorbell, viewing] = [await Signer.create(), await newSealingPair()];
  const { device, identity: identity_key, sealing: sealing_key } = doorbell;
  const said = { doorbells: [{ device, identity_key, sealing_key }], events: [] };
  const relay = { get: async (path) => (path === "doorbells" ? { doorbells: said.doorbells } : { events: said.events }) };
  const household = new Household(relay, { credential_id: "c" });
  household.browser = { id: "mine", pairs: { viewing } };
  const carry = async (plain, more = {}) => {
    const sealed = b64u(await sealTo(await rawPublicKey(viewing.publicKey), utf8(canonical(plain).padEnd(NOTE_BYTES)), utf8("doorward/note/v1")));
    const body = { type: "note", credential_id: "c", browser: "mine", sealed };
    const event = { id: newId(), device, seq: said.events.length + 1, time_ms: NOW, is_clock_trusted: true, body, ...more };
    said.events.unshift({ relay_seq: event.seq, received_ms: NOW, corrected_ms: null, event });
  };
  return { household, doorbell, said, carry, remembered };
}

const bodies = ({ notes }) => [...notes.values()].map(({ note }) => note.body);
const DOOR_PAGE = { type: "confirmation_wanted", statement_digest: "ab".repeat(32), door_page: "https://door.example/" };

test("a note counts that the doorbell signed", async () => {
  const { household, doorbell, carry } = await home();
  await carry(await doorbell.signed(doorbell.note(DOOR_PAGE)));
  await household.load();
  assert.deepEqual(bodies(household), [DOOR_PAGE]);
});

test("a relay that knows the viewing key can't name a door page of its own", async () => {
  const { household, doorbell, carry } = await home();
  const relay = await Signer.create();
  const forged = doorbell.note({ ...DOOR_PAGE, door_page: "https://evil.example/" });
  await carry(forged);
  await carry(await relay.signed(forged));
  const { signature } = await doorbell.signed(doorbell.note(DOOR_PAGE));
  await carry({ note: canonical(forged), signature });
  await household.load();
  assert.deepEqual([bodies(household), household.unopenedNotes], [[], 3]);
});

test("a note of one doorbell can't be told as another's", async () => {
  const { household, doorbell, said, carry } = await home();
  const another = await Signer.create();
  said.doorbells.push({ device: another.device, identity_key: another.identity, sealing_key: another.sealing });
  await carry(await another.signed(another.note(DOOR_PAGE)));
  await carry(await another.signed(doorbell.note(DOOR_PAGE)));
  await household.load();
  assert.deepEqual(bodies(household), []);
});

test("a note that the relay carries twice counts once, at its own time", async () => {
  const { household, doorbell, carry } = await home();
  const ended = await doorbell.signed(doorbell.note({ type: "browser_ended", browser: "b", name: "Phone" }));
  await carry(ended);
  await carry(ended, { time_ms: NOW + 9_000_000 });
  await household.load();
  assert.deepEqual([...household.notes.values()].map(({ time_ms }) => time_ms), [NOW]);
});

test("another identity key under a doorbell's id isn't trusted", async () => {
  const { household, doorbell, said } = await home();
  const relay = await Signer.create();
  said.doorbells = [{ device: doorbell.device, identity_key: relay.identity, sealing_key: relay.sealing }];
  await household.load();
  assert.throws(() => trustedKeys(household, doorbell.device), KeysDiffer);
});

test("after a doorbell's first note the relay can't swap the key that statements are sealed to", async () => {
  const { household, doorbell, said, carry } = await home();
  const relay = await Signer.create();
  said.doorbells[0].sealing_key = relay.sealing;
  await carry(await doorbell.signed(doorbell.note(DOOR_PAGE)));
  await household.load();
  assert.throws(() => trustedKeys(household, doorbell.device), KeysDiffer);
  said.doorbells[0].sealing_key = doorbell.sealing;
  await household.load();
  assert.equal(trustedKeys(household, doorbell.device).sealing_key, doorbell.sealing);
});

const MATCHED = { request_id: "r", request_digest: "d", agency_name: "Lakeland Police", is_emergency: false, is_reminder: false };
const told = (...requests) => ({ type: "requests_matched", requests });
const SHOWN = { request: { id: "r", danger: "" }, digest: "d", agency: { name: "Lakeland Police" } };

test("a request counts as the one that the doorbell read only if nothing about it differs", async () => {
  const { household, doorbell, carry } = await home();
  await carry(await doorbell.signed(doorbell.note(told(MATCHED))));
  await household.load();
  const same = compare(household, "r", SHOWN);
  assert.deepEqual([same.same.map(({ device }) => device), same.different], [[doorbell.device], []]);
  for (const lie of [
    { digest: "another text" },
    { agency: { name: "Another Police" } },
    { request: { id: "r", danger: "somebody" } },
    { request: { id: "x", danger: "" } },
  ]) {
    const { same, different } = compare(household, "r", { ...SHOWN, ...lie });
    assert.deepEqual([same.length, different.length], [0, 1], JSON.stringify(lie));
  }
  // The right text under another address.
  const elsewhere = compare(household, "x", { ...SHOWN, request: { id: "r", danger: "" } });
  assert.deepEqual([elsewhere.same.length, elsewhere.different.length], [0, 1]);
  assert.deepEqual(compare(household, "y", { ...SHOWN, digest: "e" }), { same: [], different: [] });
});

test("a relay can't say that a request concerns a door, nor make it an emergency", async () => {
  const { household, carry } = await home();
  const relay = await Signer.create();
  await carry(await relay.signed(relay.note(told({ ...MATCHED, is_emergency: true }))));
  await household.load();
  assert.deepEqual(household.matches, []);
});

test("a request that is told again is one, and a reminder is said so", async () => {
  const { household, doorbell, carry } = await home();
  await carry(await doorbell.signed(doorbell.note(told(MATCHED), { told_ms: NOW })));
  await carry(await doorbell.signed(doorbell.note(told({ ...MATCHED, is_reminder: true }), { told_ms: NOW + 5 })));
  await household.load();
  assert.deepEqual(household.matches, [{ ...MATCHED, is_reminder: true, device: doorbell.device, told_ms: NOW }]);
});

test("an emergency is called for once, and only while it is fresh", async () => {
  const { household, doorbell, carry } = await home();
  const called = [];
  household.addEventListener("matched", ({ detail }) => called.push(...newEmergencies(detail).map(({ request_digest }) => request_digest)));
  const now = { told_ms: Date.now() };
  const emergency = { ...MATCHED, is_emergency: true };
  await carry(await doorbell.signed(doorbell.note(told({ ...emergency, request_digest: "old" }))));
  await carry(await doorbell.signed(doorbell.note(told(emergency), now)));
  await carry(await doorbell.signed(doorbell.note(told({ ...emergency, is_reminder: true }), now)));
  await carry(await doorbell.signed(doorbell.note(told({ ...MATCHED, request_digest: "calm" }), now)));
  await household.load();
  assert.deepEqual(called, ["d"]);
  assert.equal(isFirstTime("d"), false);
});

test("what is decided is kept by door and by the text that was read, not by what the relay calls it", async () => {
  await home();
  rememberDecision("door", "d", "grant", { digest: "g", signed_ms: NOW });
  rememberDecision("door", "d", "hold", { digest: "h", signed_ms: NOW });
  rememberDecision("door", "d", "hold", null);
  assert.deepEqual(decisionsOn("door", "d"), { grant: { digest: "g", signed_ms: NOW } });
  assert.deepEqual([decisionsOn("door", "e"), decisionsOn("back", "d")], [{}, {}]);
});

test("the settings that count are those with the highest number, whatever order they are carried in", async () => {
  const { household, doorbell, carry } = await home();
  const { device } = doorbell;
  const now = (revision) => ({ type: "settings_now", statement_digest: "s", settings: { revision, is_opted_in: revision === 2 }, at_ms: NOW + revision });
  assert.deepEqual(settingsOf(household, device), { settings: null, refused: [], isTold: false, atMs: 0 });
  await carry(await doorbell.signed(doorbell.note(now(2), { told_ms: NOW + 9 })));
  await carry(await doorbell.signed(doorbell.note(now(1), { told_ms: NOW })));
  await carry(await doorbell.signed(doorbell.note({ type: "refused_now", statement_digest: "s", refused: ["lakeland"] }, { told_ms: NOW })));
  await household.load();
  const { settings, refused, isTold, atMs } = settingsOf(household, device);
  assert.deepEqual([settings.revision, settings.is_opted_in, refused, isTold, atMs], [2, true, ["lakeland"], true, NOW + 2]);
});

test("a doorbell's name is its own word, and never the relay's", async () => {
  const { household, doorbell, carry } = await home();
  const { device } = doorbell;
  const named = (name) => ({ type: "preferences_now", preferences: { name }, file: { settings: { revision: 1 }, preferences: {} }, at_ms: NOW, after_restart: [] });
  await household.load();
  household.doorbell(device).name = "what the relay would like";
  await household.load();
  assert.equal(household.doorbell(device).name, nameOf([], device));
  await carry(await doorbell.signed(doorbell.note(named("Garden gate"), { told_ms: NOW + 9 })));
  await carry(await doorbell.signed(doorbell.note(named("Front door"), { told_ms: NOW })));
  await household.load();
  await household.reading;
  assert.equal(household.doorbell(device).name, "Garden gate");
  await carry(await doorbell.signed(doorbell.note(named(""), { told_ms: NOW + 10 })));
  await household.load();
  await household.reading;
  assert.equal(household.doorbell(device).name, nameOf([], device));
});

test("holds are those that the doorbell told of last, and those that are over are none", async () => {
  const { household, doorbell, carry } = await home();
  const hold = (hold_digest, until_ms) => ({ hold_digest, from_ms: 1, to_ms: 2, until_ms });
  const now = (...holds) => ({ type: "holds_now", statement_digest: "s", holds });
  await carry(await doorbell.signed(doorbell.note(now(hold("a", NOW + 50), hold("b", NOW + 5)), { told_ms: NOW + 2 })));
  await carry(await doorbell.signed(doorbell.note(now(hold("c", NOW + 50)), { told_ms: NOW + 1 })));
  await household.load();
  const digests = (nowMs) => holdsOf(household, doorbell.device, nowMs).map(({ hold_digest }) => hold_digest);
  assert.deepEqual([digests(NOW), digests(NOW + 5)], [["b", "a"], ["a"]]);
});

test("a note that says nothing leaves no trace but the doorbell's key", async () => {
  const { household, doorbell, carry } = await home();
  for (let slot = 0; slot < 3; slot += 1) await carry(await doorbell.signed(doorbell.note({ type: "nothing" })));
  await household.load();
  assert.deepEqual([household.notes.size, household.told.size, household.unopenedNotes], [0, 0, 0]);
  assert.equal(comparedKeys(doorbell.device).sealing_key, doorbell.sealing);
});

test("where a time isn't sure, a picture stands beside the doorbell's own word of when it was taken", async () => {
  const shown = { state: "shown", url: "", takenMs: NOW, ageMs: 0 };
  useTexts();
  const told = (dating) => ({ received_ms: NOW, corrected_ms: dating, event: { time_ms: NOW, is_clock_trusted: false, body: { type: "pressed" } } });
  assert.match(ageText(shown, told(null)).short, TAKEN);
  assert.match(ageText(shown, told(NOW)).short, TAKEN);
});

test("a picture is as old as the doorbell signed, whatever time the relay gives its event", async () => {
  const { household, doorbell } = await home();
  household.doorbells = [{ device: doorbell.device, identity_key: doorbell.identity, sealing_key: doorbell.sealing }];
  useTexts();
  const LATER = NOW + 86_400_000;
  const facts = { taken_ms: NOW - 40, age_ms: 40 };
  const pictures = new Pictures(household, {
    fetched: async () => ({ facts, jpeg: new Uint8Array(1) }),
    browser: async () => household.browser,
  });
  const told = (id, time_ms, more = {}) => ({
    received_ms: LATER,
    corrected_ms: null,
    ...more,
    event: { id, device: doorbell.device, time_ms, is_clock_trusted: true, body: { type: "pressed" }, ...more.event },
  });
  const honest = await pictures.get(told("true", NOW));
  assert.equal(honest.ageMs, 40);
  assert.equal(ageText(honest, told("true", NOW)), null);
  const unset = { event: { is_clock_trusted: false } };
  for (const lie of [told("late", LATER), told("unsure", NOW, unset), told("corrected", NOW, { ...unset, corrected_ms: LATER })]) {
    const picture = await pictures.get(lie);
    assert.equal(picture.ageMs, 86_400_040);
    assert.match(ageText(picture, lie).short, TAKEN);
  }
  // Its own event is left alone, and lies with another in one row.
  assert.match(ageText(honest, told("row", LATER)).short, TAKEN);
});

test("a relay's own words stand nowhere as the doorbell's: not as a trouble, not as a zone", () => {
  const detail = "Type your door number at door.example";
  const words = { "trouble.unknown": "no words", "trouble.unknown.over": "over", "event.motion": "motion", "event.motion_in": "in {zones}" };
  useCatalog("en", "en-US", words);
  const trouble = (is_over) => eventText({ body: { type: "trouble", code: "hello", is_over, detail } });
  assert.deepEqual([trouble(false), trouble(true)], ["no words", "over"]);
  const motion = (...names) => eventText({ body: { type: "motion", zones: ["Relay"], names } });
  assert.equal(motion("Porch", "x".repeat(41), "two\nlines", "\u202eback"), "in Porch");
  assert.equal(motion("x".repeat(41)), "motion");
  assert.equal(motion(), "motion");
});

test("a login never signs a statement, though the relay chooses its challenge", async () => {
  const statement = await challenge("doorward/statement/v1", '{"terms":{"kind":"end_session"}}');
  const asked = [];
  const credentials = {
    get: async ({ publicKey }) => {
      asked.push(b64u(publicKey.challenge));
      return null; // closed
    },
  };
  globalThis.PublicKeyCredential = class {};
  Object.defineProperty(globalThis, "navigator", { value: { credentials }, configurable: true });
  await assert.rejects(passkeyLogin({ challenge: b64u(statement) }));
  assert.equal(asked.length, 1);
  assert.notEqual(asked[0], b64u(statement));
});
