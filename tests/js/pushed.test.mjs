/**
 * What the service worker shows of push messages, and what it asks for: as much of one about this
 * door as of one that isn't.
 */
import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { deleteKey, writeKey } from "../../relay/owner_app/vendor/browser/key_store.js";
import { canonical } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { forgetWorkerStore, readPush, writePush, writeWorkerStore } from "../../relay/owner_app/worker_store.js";
import { storeOf, storeOfPush, pageAt } from "../../relay/owner_app/worker/stores.js";
import { Pushed } from "../../relay/owner_app/worker/pushed.js";
import { isQuietAt } from "../../relay/owner_app/worker/quiet.js";
import { notificationWorker } from "../fakes/notification_worker.mjs";

const DOOR = "abcdefghijklmnopqrst";
const SHED = "bbcdefghijklmnopqrst";
const NOW = Date.UTC(2026, 10, 30, 14, 2);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let ids = 0;

/** @param {Parameters<typeof notificationWorker>[0]} [system] */
async function phone(system) {
  const worker = notificationWorker(system);
  const bell = (device, name) => ({ device, name, identity_key: "AAAA", sealing_key: "AAAA", is_own_word: true });
  const language = system?.language ?? "en";
  await writeWorkerStore({
    relay_url: "http://relay.test",
    token: "t",
    credential_id: "c",
    doorbells: [bell(DOOR, "Front door"), bell(SHED, "Shed")],
    language,
    locale: language === "en" ? "en-GB" : "sv-SE",
  });
  const pushed = new Pushed(worker.registration);
  const says = (body, changes = {}) => canonical({ v: 1, device: DOOR, id: (++ids).toString(2).replaceAll("0", "a").replaceAll("1", "b").padStart(26, "a"), time_ms: Date.now(), body, ...changes });
  return { worker, pushed, says, take: (text) => pushed.take(text) };
}

/** Time stands, and goes when a test says so. @param {number} [at] */
function clockAt(at = NOW) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: at });
}

const QUIETLY = [
  ["a summary", { type: "summary", rings: 2, motions: 14, has_to_read: true }, { type: "summary", rings: 2, motions: 14, has_to_read: false }],
  ["an emergency", { type: "emergency", is_here: true }, { type: "emergency", is_here: false }],
  ["an emergency of an owner who isn't asked", { type: "emergency", is_here: true }, { type: "emergency", is_here: null }],
];

for (const [what, matched, other] of QUIETLY) {
  test(`${what} makes the app ask for nothing, has no picture and no button, and leads to one page`, async () => {
    clockAt();
    const seen = [];
    for (const body of [matched, other]) {
      const { worker, take, says } = await phone();
      await take(says(body));
      const { body: words, title, data, ...looks } = worker.only();
      delete looks.close;
      seen.push({ looks, title, hash: data.hash, requests: worker.requests, sounds: worker.sounds });
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.deepEqual(seen[0].requests, []);
    assert.deepEqual(seen[0].looks.actions, []);
    assert.equal(seen[0].looks.image, undefined);
  });
}

test("a summary says the day in figures and one thing to read", async () => {
  clockAt();
  const { worker, take, says } = await phone();
  await take(says({ type: "summary", rings: 1, motions: 14, has_to_read: true }));
  assert.equal(worker.only().title, "The day at Front door");
  assert.match(worker.only().body.replaceAll(/[⁨⁩]/g, ""), /^1 ring, 14 movements\.\nOne thing to read\.$/);
});

test("of three doorbells' word on one emergency there is one notification, and it is here if one says so", async () => {
  clockAt();
  const { worker, take, says } = await phone();
  await take(says({ type: "emergency", is_here: false }));
  await take(says({ type: "emergency", is_here: true }, { device: SHED }));
  await take(says({ type: "emergency", is_here: false }));
  assert.match(worker.only().body, /^Also about where you live\./);
  assert.equal(worker.sounds, 1);
});

test("an emergency elsewhere says so, in Swedish too", async () => {
  clockAt();
  const { worker, take, says } = await phone({ language: "sv" });
  await take(says({ type: "emergency", is_here: false }));
  assert.match(worker.only().body, /^På annat håll i staden\./);
});

// --- several relays ---

const ELSEWHERE = "ccddefghijklmnopqrst";

/** Somebody who went to another home in this browser. @param {string[]} devices of that one */
async function twoHomes(devices) {
  const home = await phone();
  const doorbells = devices.map((device) => ({ device, name: "Cabin", identity_key: "AAAA", sealing_key: "AAAA", is_own_word: true }));
  await writeWorkerStore({ relay_url: "http://b.test", token: "t", credential_id: "c", doorbells, language: "en", locale: "en-GB" });
  return home;
}

test("a ring of each home is shown, whichever is open, and leads to its own relay", async () => {
  clockAt();
  const home = await twoHomes([ELSEWHERE]);
  await ring(home);
  assert.match(home.worker.only().body, /Front door/);
  const { device, relay } = home.worker.only().data;
  assert.equal(await pageAt(`#/live/${device}`, relay), `#/live/${DOOR}?relay=http%3A%2F%2Frelay.test`);
  home.worker.only().close();
  await ring(home, { device: ELSEWHERE });
  assert.match(home.worker.only().body, /Cabin/);
});

test("signing out of one home leaves the other's rings on", async () => {
  clockAt();
  const home = await twoHomes([ELSEWHERE]);
  await writePush("http://relay.test", { kinds: ["pressed"] });
  await forgetWorkerStore("http://b.test");
  await ring(home);
  assert.match(home.worker.only().body, /Front door/);
  assert.equal((await storeOfPush()).relay_url, "http://relay.test");
  assert.notEqual(await readPush("http://relay.test"), undefined);
  home.worker.only().close();
  await ring(home, { device: ELSEWHERE });
  assert.equal(home.worker.shown.size, 0);
});

test("of a doorbell that moved, the relay counts where notifications are on", async () => {
  await twoHomes([DOOR]);
  await writePush("http://b.test", { kinds: ["pressed"] });
  assert.equal((await storeOf(DOOR)).relay_url, "http://b.test");
});

test("where there is one home, a notification names no relay", async () => {
  await phone();
  assert.equal(await pageAt("#/", "http://relay.test"), "#/");
});

test("what an earlier version of the app kept is read", async () => {
  await phone();
  await forgetWorkerStore("http://relay.test");
  await writeKey("worker:book", { relay_url: "http://relay.test", doorbells: [{ device: DOOR }] });
  await writeKey("worker:push", { kinds: ["pressed"] });
  // as it is after the update, before any page was opened
  await deleteKey("worker:books");
  assert.equal((await storeOf(DOOR)).relay_url, "http://relay.test");
  assert.equal((await storeOfPush()).relay_url, "http://relay.test");
});

// --- rings ---

/** Rings; this browser has no keys, so that no picture is waited for. */
async function ring(home, changes) {
  const text = home.says({ type: "pressed" }, changes);
  await home.take(text).catch((error) => assert.match(error.message, /no keys/));
  return text;
}

test("rings of one door are one notification that says how many, and sounds for each", async () => {
  clockAt();
  const home = await phone();
  await ring(home, { time_ms: NOW - 2 * MINUTE });
  await ring(home, { time_ms: NOW });
  const shown = home.worker.only();
  assert.match(shown.title, /The bell rang \S*2\S* times/);
  assert.match(shown.body, /The first at/);
  assert.equal(home.worker.sounds, 2);
});

test("a message that is carried twice, by two relays or in two workers at once, rings once", async () => {
  clockAt();
  const home = await phone();
  const text = await ring(home);
  home.worker.only().close();
  const twin = new Pushed(home.worker.registration);
  await Promise.all([twin.take(text), home.take(text)]);
  assert.deepEqual([...home.worker.shown.keys()], []);
  assert.equal(home.worker.sounds, 1);
});

test("a ring that was answered elsewhere turns into a line without a sound, and stays no longer", async () => {
  clockAt();
  const home = await phone();
  await ring(home);
  await home.take(home.says({ type: "ring_over", by: "Bo" }));
  const shown = home.worker.only();
  assert.equal(shown.title, "Bo answered the bell");
  assert.deepEqual([shown.silent, shown.requireInteraction, home.worker.sounds], [true, false, 1]);
  assert.deepEqual(shown.actions.map(({ action }) => action), ["see"]);
});

test("a ring that is carried after its own end doesn't ring", async () => {
  clockAt();
  const home = await phone();
  const id = "c".repeat(26);
  await home.take(home.says({ type: "ring_over", by: null }, { time_ms: NOW, id }));
  await ring(home, { time_ms: NOW - MINUTE });
  await ring(home, { time_ms: NOW, id });
  assert.match(home.worker.only().title, /nobody answered/);
  assert.equal(home.worker.sounds, 0);
});

test("the end of an earlier ring doesn't end a later one", async () => {
  clockAt();
  const home = await phone();
  await ring(home, { time_ms: NOW });
  await home.take(home.says({ type: "ring_over", by: null }, { time_ms: NOW - MINUTE }));
  assert.equal(home.worker.only().title, "Somebody pressed the bell");
});

for (const [maxActions, actions, isSaid] of [[0, [], true], [1, ["reply"], true], [2, ["reply", "snooze"], true], [3, ["see", "reply", "snooze"], false]]) {
  test(`with room for ${maxActions} buttons a ring has ${actions.length}, and says what a tap does if none does it`, async () => {
    clockAt();
    const home = await phone({ maxActions });
    await ring(home);
    assert.deepEqual(home.worker.only().actions.map(({ action }) => action), actions);
    assert.equal(home.worker.only().body.includes("Tap to see"), isSaid);
  });
}

for (const [hours, sounds, says] of [[1, 1, "60 minutes apart"], [-1, 1, "60 minutes apart"], [2, 0, "came late"], [0, 1, ""]]) {
  test(`a phone that is ${hours} hours wrong ${sounds ? "rings all the same" : "shows it without a sound"}`, async () => {
    clockAt(NOW + hours * HOUR);
    const home = await phone();
    await ring(home, { time_ms: NOW });
    assert.equal(home.worker.sounds, sounds);
    assert.ok(home.worker.only().body.replaceAll(/[⁨⁩]/g, "").includes(says), home.worker.only().body);
  });
}

// --- silence ---

const SILENT = { type: "silent", after_minutes: 15 };

test("a silent doorbell is said with the time of its last check-in", async () => {
  clockAt();
  const { worker, take, says } = await phone();
  await take(says(SILENT, { time_ms: NOW - 20 * MINUTE }));
  assert.equal(worker.only().title, "Front door is silent");
  assert.match(worker.only().body, /^No check-in since/);
  assert.deepEqual(worker.requests, []);
});

for (const [why, atMs] of [["was kept for hours", NOW - 15 * MINUTE - 10 * MINUTE - 4 * HOUR], ["was left for tomorrow", NOW + 3 * HOUR]]) {
  test(`a message of silence that ${why} isn't believed`, async () => {
    clockAt();
    const { worker, take, says } = await phone();
    await take(says(SILENT, { time_ms: atMs }));
    assert.equal(worker.shown.size, 0);
  });
}

test("nor is one that is older than any later word of the doorbell", async () => {
  clockAt();
  const home = await phone();
  const kept = home.says(SILENT, { time_ms: NOW - 20 * MINUTE });
  await home.take(home.says({ type: "summary", rings: 0, motions: 0, has_to_read: false }, { time_ms: NOW - 5 * MINUTE }));
  await home.take(kept);
  assert.deepEqual([...home.worker.shown.keys()], [`summary-${DOOR}`]);
});

test("another doorbell's word says nothing of this one", async () => {
  clockAt();
  const home = await phone();
  await home.take(home.says({ type: "summary", rings: 0, motions: 0, has_to_read: false }, { device: SHED }));
  await home.take(home.says(SILENT, { time_ms: NOW - 20 * MINUTE }));
  assert.ok(home.worker.shown.has(`silent-${DOOR}`));
});

test("a word of the doorbell ends its silence", async () => {
  clockAt();
  const home = await phone();
  await home.take(home.says(SILENT, { time_ms: NOW - 20 * MINUTE }));
  await home.take(home.says({ type: "summary", rings: 0, motions: 0, has_to_read: false }));
  assert.deepEqual([...home.worker.shown.keys()], [`summary-${DOOR}`]);
});

test("back after a silence is said with both times, in its place, in Swedish too", async () => {
  for (const [language, title, words] of [["en", "Front door is back", /^Back again since .*\nIt was silent from /], ["sv", "Front door är tillbaka", /^Tillbaka sedan .*\nDen var tyst från /]]) {
    clockAt();
    const home = await phone({ language });
    await home.take(home.says(SILENT, { time_ms: NOW - 20 * MINUTE }));
    await home.take(home.says({ type: "back", since_ms: NOW - MINUTE, silent_since_ms: NOW - 20 * MINUTE }));
    assert.equal(home.worker.only().title, title);
    assert.match(home.worker.only().body, words);
    assert.deepEqual(home.worker.requests, []);
    await home.take(home.says(SILENT, { time_ms: NOW - 19 * MINUTE }));
    assert.equal(home.worker.only().title, title);
  }
});

test("a silence of a whole day is told, however long ago the last check-in was", async () => {
  clockAt();
  const { worker, take, says } = await phone();
  await take(says({ type: "silent", after_minutes: 1440 }, { time_ms: NOW - 24 * HOUR - 5 * MINUTE }));
  assert.ok(worker.shown.has(`silent-${DOOR}`));
});

test("in quiet hours it makes no sound", async () => {
  clockAt();
  const { worker, take, says } = await phone();
  const quiet = { from_minute: 0, to_minute: 0, time_zone: "UTC" };
  await writePush("http://relay.test", { kinds: [], quiet, summary: null, silent_after_minutes: 15, endpoint: "", told: {}, snoozed: {} });
  await take(says(SILENT, { time_ms: NOW - 20 * MINUTE }));
  assert.equal(worker.sounds, 0);
});

test("quiet hours go by the zone's own clock: in summer, in winter, and thirteen hours ahead", () => {
  const night = (time_zone) => ({ from_minute: 22 * 60, to_minute: 7 * 60, time_zone });
  const stockholm = night("Europe/Stockholm");
  const at = (text) => Date.parse(text);
  assert.deepEqual(["2026-07-01T20:00Z", "2026-07-01T05:00Z", "2026-12-01T20:30Z", "2026-12-01T21:00Z", "2026-12-01T06:00Z"].map((text) => isQuietAt(stockholm, at(text))), [true, false, false, true, false]);
  assert.deepEqual(["2026-07-01T09:00Z", "2026-07-01T18:00Z"].map((text) => isQuietAt(night("Pacific/Apia"), at(text))), [true, false]);
  assert.equal(isQuietAt(null, 0), false);
});

test("nobody is told of anything once signed out, or by a doorbell that isn't known", async () => {
  clockAt();
  const home = await phone();
  await home.take(home.says({ type: "emergency", is_here: true }, { device: "c".repeat(20) }));
  assert.equal(home.worker.shown.size, 0);
});
