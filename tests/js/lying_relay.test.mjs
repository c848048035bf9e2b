/**
 * What the owner's app believes of a relay that lies: no note that the doorbell didn't sign, none
 * twice, and no key that isn't the doorbell's; and that it signs nothing of the relay's.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { Household } from "../../relay/owner_app/household.js";
import { Pictures } from "../../relay/owner_app/pictures.js";
import { KeysDiffer, trustedKeys } from "../../relay/owner_app/trust.js";
import { passkeyLogin } from "../../relay/owner_app/vendor/browser/passkey.js";
import { b64u, canonical, deviceIdOf, newId, unb64u, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { challenge, derSignature } from "../../relay/owner_app/vendor/protocol/passkeys.js";
import { newSealingPair, rawPublicKey, sealTo } from "../../relay/owner_app/vendor/protocol/sealing.js";

const ES256 = { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" };
const NOW = 1_790_000_000_000;
const NOTE_BYTES = 2560;

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

/** An owner's app at a doorbell, and a relay that says what a test wants. */
async function home() {
  const remembered = new Map();
  globalThis.localStorage = {
    getItem: (key) => remembered.get(key) ?? null,
    setItem: (key, value) => remembered.set(key, value),
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

test("a picture is as old as the doorbell signed, whatever time the relay gives its event", async () => {
  const { household, doorbell } = await home();
  household.doorbells = [{ device: doorbell.device, identity_key: doorbell.identity, sealing_key: doorbell.sealing }];
  const facts = { taken_ms: NOW - 40, age_ms: 40 };
  const pictures = new Pictures(household, {
    fetched: async () => ({ facts, jpeg: new Uint8Array(1) }),
    browser: async () => household.browser,
  });
  const told = (id, time_ms) => ({ event: { id, device: doorbell.device, time_ms } });
  assert.equal((await pictures.get(told("true", NOW))).ageMs, 40);
  assert.equal((await pictures.get(told("late", NOW + 86_400_000))).ageMs, 86_400_040);
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
