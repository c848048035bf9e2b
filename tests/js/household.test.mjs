/**
 * What the app does with what the relay says: who is called, what is dated, what is kept.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { Household } from "../../relay/owner_app/household.js";
import { known } from "../../relay/owner_app/views/parts.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

globalThis.indexedDB = memoryDatabase();
globalThis.navigator ??= { userAgent: "" };

const DOOR = "abcdefghijklmnopqrst";
const NOW = 1_790_000_000_000;

function told(seq, body, more = {}) {
  const event = { v: 1, id: `id-${seq}`, device: DOOR, seq, time_ms: NOW + seq, is_clock_trusted: true, body };
  const { corrected_ms = null, received_ms = NOW + seq, ...changes } = more;
  return { relay_seq: seq, received_ms, corrected_ms, event: { ...event, ...changes } };
}

/** A relay that has these events, and says these things on its stream. */
class ScriptedRelay {
  constructor({ events = [], said = [] }) {
    this.events = events;
    this.said = said;
    this.asked = [];
    this.health = null;
    this.hasSaidAll = false;
  }

  async get(path) {
    if (path.startsWith("notes")) return { events: [], next: "", has_more: false };
    this.asked.push(path);
    if (path === "doorbells") {
      const bell = { device: DOOR, state: "online", since_ms: NOW };
      return { doorbells: [{ ...bell, identity_key: "", sealing_key: "", health: this.health }] };
    }
    const before = Number(new URLSearchParams(path.split("?")[1]).get("before_seq") ?? Infinity);
    const older = this.events.filter((one) => one.relay_seq < before);
    return { events: older.sort((a, b) => b.relay_seq - a.relay_seq).slice(0, 100) };
  }

  async *stream(signal) {
    yield { event: "hello", data: null };
    for (const message of this.said) yield structuredClone(message);
    this.hasSaidAll = true;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
}

function clipTold(seq, clip_id, { started_ms = NOW, digest = "d", ...more } = {}) {
  const body = { type: "clip_ready", clip_id, trigger_event_id: "id-0", started_ms, duration_ms: 12_000 };
  return told(seq, { ...body, manifest_digest: digest }, more);
}

/** Follows a relay until it has said all; returns the household and who was called for. */
async function follow(script) {
  const relay = new ScriptedRelay(script);
  const household = new Household(relay, { credential_id: "c" });
  const called = [];
  household.addEventListener("pressed", ({ detail }) => called.push(detail.event.body.type));
  const stop = new AbortController();
  const following = household.follow(stop.signal);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let tries = 0; tries < 500 && !relay.hasSaidAll; tries += 1) await pause(5);
  await pause(20); // older events come beside the stream
  stop.abort();
  await following;
  return { household, relay, called };
}

test("somebody is called for a press, and nobody for motion or trouble", async () => {
  const bodies = [
    { type: "motion", zones: ["path"] },
    { type: "trouble", code: "power_weak", is_over: false, detail: "x" },
    { type: "pressed", camera: "missing" },
  ];
  const said = bodies.map((body, i) => ({ event: "doorbell", data: told(i + 1, body) }));
  const { household, called } = await follow({ said });
  assert.deepEqual(called, ["pressed"]);
  assert.equal(household.history.length, 3);
});

test("a doorbell that is theirs no more is named, and what it told is forgotten", async () => {
  const relay = new ScriptedRelay({ events: [told(1, { type: "motion", zones: [] })], said: [{ event: "gone", data: { device: DOOR } }] });
  const get = relay.get.bind(relay);
  let isGone = false;
  relay.get = async (path) => {
    if (path !== "doorbells" || !isGone) return get(path);
    return { doorbells: [], gone: [{ device: DOOR, since_ms: NOW }] };
  };
  const household = new Household(relay, { credential_id: "c" });
  await household.load();
  assert.equal(household.history.length, 1);
  isGone = true;
  const heard = new Promise((resolve) => household.addEventListener("gone", ({ detail }) => resolve(detail)));
  const stop = new AbortController();
  const following = household.follow(stop.signal);
  assert.equal(await heard, DOOR);
  stop.abort();
  await following;
  assert.deepEqual([household.history.length, household.doorbells, household.gone[0].device], [0, [], DOOR]);
});

test("a clock that is set on an open page dates what the page shows", async () => {
  const lost = told(1, { type: "pressed", camera: "working" }, { time_ms: 5, is_clock_trusted: false });
  const clock = told(2, { type: "clock_set", from_seq: 1, to_seq: 1, offset_ms: NOW });
  for (const said of [[lost, clock], [clock, lost]]) {
    const { household } = await follow({ said: said.map((data) => ({ event: "doorbell", data })) });
    assert.equal(household.told.get("id-1").corrected_ms, NOW + 5);
  }
});

test("what the relay dated meanwhile is taken over when the page comes back", async () => {
  const lost = told(1, { type: "pressed", camera: "working" }, { time_ms: 5, is_clock_trusted: false });
  const relay = new ScriptedRelay({ events: [lost] });
  const household = new Household(relay, { credential_id: "c" });
  await household.load();
  relay.events = [{ ...lost, corrected_ms: NOW }];
  await household.load();
  assert.equal(household.told.get("id-1").corrected_ms, NOW);
});

test("health comes with the stream, and anew when it is asked for", async () => {
  const health = { camera: "frozen" };
  const said = [
    { event: "health", data: { device: DOOR, received_ms: NOW, health } },
    { event: "health", data: { device: "another", received_ms: NOW, health } },
  ];
  const { household, relay } = await follow({ said });
  assert.deepEqual(household.doorbell(DOOR).health, { received_ms: NOW, health });
  relay.health = { received_ms: NOW + 1, health: { camera: "working" } };
  await household.refresh();
  assert.equal(household.doorbell(DOOR).health.health.camera, "working");
});

test("a clip that is told anew on an open page is one clip, by its newest telling", async () => {
  const first = clipTold(1, "c", { started_ms: 1000, is_clock_trusted: false, time_ms: 13_000 });
  const said = [first, clipTold(2, "c", { started_ms: NOW - 5000, digest: "e" })];
  const { household } = await follow({ said: said.map((data) => ({ event: "doorbell", data })) });
  assert.deepEqual(household.clips.map(({ id }) => id), ["id-2"]);
  assert.deepEqual(household.history.map(({ event }) => event.id), ["id-2"]);
  assert.equal(household.startOf(household.clips[0]), NOW - 5000);
  assert.equal(household.isNewest(household.told.get("id-1").event), false);
  assert.equal(household.isNewest(household.clips[0]), true);
});

/** Follows streams that end one after the other; returns what each was asked to go on from, and what was loaded. */
async function followAll(streams) {
  const relay = new ScriptedRelay({});
  const asked = [];
  const loadsAt = [];
  const stop = new AbortController();
  relay.stream = async function* (_signal, lastId) {
    asked.push(lastId);
    const said = streams.shift() ?? [];
    if (streams.length === 0) setTimeout(() => stop.abort(), 50);
    for (const message of said) {
      yield structuredClone(message);
      loadsAt.push(relay.asked.filter((path) => path === "events?limit=100").length);
    }
  };
  const household = new Household(relay, { credential_id: "c" });
  const called = [];
  household.addEventListener("pressed", ({ detail }) => called.push(detail.event.id));
  await household.follow(stop.signal);
  return { asked, loadsAt, called };
}

test("a stream that broke goes on where it was heard, calls for the rings that were missed, and loads once after them", async () => {
  const ring = (seq) => ({ event: "doorbell", id: `d.${seq}`, data: told(seq, { type: "pressed", camera: "working" }) });
  const hello = (id) => ({ event: "hello", data: null, id });
  const { asked, loadsAt, called } = await followAll([
    [hello("d.0"), ring(1)],
    [hello("d.1"), ring(2), ring(3), { event: "reload", id: "d.3", data: {} }],
    [hello("d.3")],
  ]);
  assert.deepEqual(asked, ["", "d.1", "d.3"]);
  assert.deepEqual(called, ["id-1", "id-2", "id-3"]);
  // Once before the stream, once at its greeting; then not before what was missed is told.
  assert.deepEqual(loadsAt, [2, 2, 2, 2, 2, 3, 3]);
});

test("at a relay that knows no ids all is loaded at each greeting", async () => {
  const { asked, loadsAt } = await followAll([[{ event: "hello", data: null, id: "d.1" }], [{ event: "hello", data: null }], []]);
  assert.deepEqual(asked.slice(0, 2), ["", "d.1"]);
  assert.deepEqual(loadsAt, [2, 3]);
});

test("a ring is looked for behind a page that holds nothing but motion", async () => {
  const walks = Array.from({ length: 230 }, (_, i) => told(i + 2, { type: "motion", zones: [] }));
  const ring = told(1, { type: "pressed", camera: "working" });
  const { household, relay } = await follow({ events: [ring, ...walks] });
  assert.equal(household.told.has("id-1"), true);
  assert.equal(relay.asked.length, 6); // at the start, once the stream has begun, and two pages back
});

test("it isn't looked for without end, nor when it is on the page", async () => {
  const walks = Array.from({ length: 900 }, (_, i) => told(i + 1, { type: "motion", zones: [] }));
  const without = await follow({ events: walks });
  assert.equal(without.household.told.size, 600);
  const ring = told(901, { type: "pressed", camera: "working" });
  const having = await follow({ events: [...walks, ring] });
  assert.equal(having.household.told.size, 100);
});

test("what happened in a long silence leaves no gap", async () => {
  const body = { type: "motion", zones: [] };
  const relay = new ScriptedRelay({ events: [told(1, body), told(2, body)] });
  const household = new Household(relay, { credential_id: "c" });
  await household.load();
  relay.events = Array.from({ length: 350 }, (_, i) => told(i + 1, body));
  await household.load();
  assert.equal(household.told.size, 350);
});

test("loading back to a time goes by when the relay heard, which no doorbell's clock can bend", async () => {
  const body = { type: "motion", zones: [] };
  const events = Array.from({ length: 250 }, (_, i) => told(i + 1, body, { received_ms: NOW + i * 1000 }));
  events[249].event.time_ms = 5; // a clock at 1970 among the newest
  const relay = new ScriptedRelay({ events });
  const household = new Household(relay, { credential_id: "c" });
  await household.load();
  await household.loadBackTo(NOW + 100_000);
  assert.equal(household.told.size, 200);
  assert.equal(relay.asked.at(-1), "events?limit=100&before_seq=151&before_device=abcdefghijklmnopqrst");
});

test("a picture that the relay has got since is known of, and only for that door's event", async () => {
  const ring = told(1, { type: "pressed", camera: "working" });
  const said = [
    { event: "doorbell", data: ring },
    { event: "thumbnail", data: { device: "another", event_id: "id-1" } },
    { event: "thumbnail", data: { device: DOOR, event_id: "id-9" } },
  ];
  const without = await follow({ said });
  assert.ok(!without.household.told.get("id-1").has_thumbnail);
  said.push({ event: "thumbnail", data: { device: DOOR, event_id: "id-1" } });
  const having = await follow({ said });
  assert.equal(having.household.told.get("id-1").has_thumbnail, true);
});

test("what was known is shown until the relay tells, and then nothing of it stays", async () => {
  const body = { type: "motion", zones: [] };
  const relay = new ScriptedRelay({ events: [told(300, body)] });
  const household = new Household(relay, { credential_id: "c" });
  const bell = { device: DOOR, state: "online", since_ms: NOW };
  await household.restore({ as_of_ms: NOW, doorbells: [bell], tolds: [told(1, body), told(2, body)] });
  assert.deepEqual([household.isLoaded, household.asOfMs, household.told.size], [true, NOW, 2]);
  await household.load();
  assert.deepEqual([household.asOfMs, [...household.told.keys()]], [0, ["id-300"]]);
  assert.equal(relay.asked.length, 2); // no gap is closed to what was known long ago
  await household.restore({ as_of_ms: NOW, doorbells: [], tolds: [] });
  assert.equal(household.doorbells.length, 1);
});

test("what was known and the relay tells again stays, with what was read before it", async () => {
  const body = { type: "motion", zones: [] };
  const page = Array.from({ length: 100 }, (_, number) => told(300 - number, body)); // 300 … 201
  const relay = new ScriptedRelay({ events: page });
  const household = new Household(relay, { credential_id: "c" });
  const bell = { device: DOOR, state: "online", since_ms: NOW };
  const kept = [told(190, body), told(210, body), told(250, body)];
  kept[1].event.id = "id-undone"; // the relay has it no more
  await household.restore({ as_of_ms: NOW, doorbells: [bell], tolds: kept });
  const sizes = [];
  household.addEventListener("change", () => sizes.push(household.told.size));
  await household.load();
  assert.equal(household.told.size, 101);
  assert.ok(household.told.has("id-190") && household.told.has("id-250") && !household.told.has("id-undone"));
  assert.ok(sizes.every((size) => size >= 3), "nothing that is shown goes away for a moment");
});

test("an older page that comes after what it follows was forgotten makes no hole", async () => {
  const body = { type: "motion", zones: [] };
  const relay = new ScriptedRelay({ events: [told(900, body)] });
  const household = new Household(relay, { credential_id: "c" });
  await household.restore({ as_of_ms: NOW, doorbells: [], tolds: [told(100, body)] });
  let answer = () => {};
  const get = relay.get.bind(relay);
  relay.get = (path) => (path.includes("before_seq") ? new Promise((resolve) => (answer = () => resolve({ events: [told(99, body)] }))) : get(path));
  const older = household.loadOlder();
  await household.load();
  answer();
  await older;
  assert.deepEqual([...household.told.keys()], ["id-900"]);
});

test("a press between the first load and the stream's beginning is not missed", async () => {
  class LateRelay extends ScriptedRelay {
    async *stream(signal) {
      this.events.push(told(7, { type: "pressed", camera: "working" }));
      yield* super.stream(signal);
    }
  }
  const relay = new LateRelay({});
  const household = new Household(relay, { credential_id: "c" });
  const stop = new AbortController();
  const following = household.follow(stop.signal);
  for (let tries = 0; tries < 100 && household.told.size === 0; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop.abort();
  await following;
  assert.deepEqual([...household.told.values()].map(({ relay_seq }) => relay_seq), [7]);
});

test("what was kept from before, read while the first load still goes on, takes nothing's place", async () => {
  const bells = Array.from({ length: 20 }, (_, i) => ({ device: `bell-${i}`, identity_key: "AA", sealing_key: "" }));
  const relay = { get: async (path) => (path === "doorbells" ? { doorbells: bells } : { events: [told(300, { type: "motion", zones: [] })] }) };
  const household = new Household(relay, { credential_id: "c" });
  const loading = household.load(); // checks twenty keys, and what was kept has but one
  await household.restore({ as_of_ms: NOW, doorbells: bells.slice(0, 1), tolds: [told(1, { type: "motion", zones: [] })] });
  await loading;
  assert.equal(household.asOfMs, 0);
  assert.deepEqual([household.doorbells.length, [...household.told.keys()]], [20, ["id-300"]]);
});

test("who must know what the relay says waits for it, once for all, and may try again", async () => {
  const relay = new ScriptedRelay({ events: [told(300, { type: "motion", zones: [] })] });
  const household = new Household(relay, { credential_id: "c" });
  await household.restore({ as_of_ms: NOW, doorbells: [], tolds: [told(1, { type: "motion", zones: [] })] });
  const answer = relay.get.bind(relay);
  relay.get = async () => {
    throw new Error("no way there");
  };
  await assert.rejects(household.heard(), /no way there/);
  relay.get = answer;
  const first = household.heard();
  await Promise.all([first, household.heard()]);
  assert.deepEqual([...household.told.keys()], ["id-300"]);
  assert.equal(relay.asked.length, 2);
});

test("a note that another load is just opening is waited for", async () => {
  const note = { type: "note", credential_id: "c", browser: "b", sealed: "s" };
  const household = new Household(new ScriptedRelay({ events: [told(3, note)] }), { credential_id: "c" });
  globalThis.indexedDB = {
    open() {
      const opening = { error: new Error("locked") };
      setTimeout(() => opening.onerror(), 20);
      return opening;
    },
  };
  void household.loadOlder();
  await household.loadOlder();
  assert.equal(household.unopenedNotes, 1);
});

test("a page waits for the relay's word, and takes what was kept only where there is none", async () => {
  const asked = [];
  const household = (isLoaded, asOfMs, fails) => ({ isLoaded, asOfMs, load: async () => fails ? Promise.reject(new Error("no network")) : asked.push(asOfMs) });
  await known(household(true, 0, true));
  await known(household(true, 5, false));
  await known(household(true, 6, true));
  assert.deepEqual(asked, [5]);
  await assert.rejects(known(household(false, 0, true)), /no network/);
});

test("names of zones that a relay writes into a movement are not taken", async () => {
  const lie = told(1, { type: "motion", zones: ["Porch"], names: ["Porch"] });
  const forged = told(2, { type: "motion", zones: [{ browser: "b", sealed: "AAAA" }], names: ["Porch"] });
  const { household } = await follow({ said: [lie, forged].map((data) => ({ event: "doorbell", data })) });
  assert.deepEqual(household.history.map(({ event }) => event.body.names), [[], []]);
});
