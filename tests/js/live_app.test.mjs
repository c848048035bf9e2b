/**
 * What the owner's app makes of a live session: candidates, words on the channels, the line, the
 * microphone, what is fetched ahead, and which browsers may watch.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { browsersKnown } from "../../relay/owner_app/known_browsers.js";
import { usualBrowserName } from "../../relay/owner_app/browser_name.js";
import { Household } from "../../relay/owner_app/household.js";
import { Trickle, withoutMdnsCandidates } from "../../relay/owner_app/live.js";
import { LiveControl, parseSaid } from "../../relay/owner_app/live_control.js";
import { LiveReady, NONCE_FRESH_MS } from "../../relay/owner_app/live_prefetch.js";
import { LineMeter } from "../../relay/owner_app/live_stats.js";
import { Microphone, NoMicrophone } from "../../relay/owner_app/microphone.js";
import { stepFrom } from "../../relay/owner_app/views/clip_stage.js";
import { fileName } from "../../relay/owner_app/views/live_tools.js";
import { NONCE_LIFE_MS } from "../../relay/owner_app/vendor/protocol/live.js";
import { watchingNow } from "../../relay/owner_app/current_viewers.js";
import { memoryDatabase } from "../fakes/memory_database.mjs";

globalThis.indexedDB = memoryDatabase();

const HOST = "candidate:1 1 udp 2113937151 192.0.2.7 40000 typ host";
const NAMED = "candidate:2 1 udp 2113937151 d9c5ae7e.local 40000 typ host";
const settled = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

/** A trickle whose messages are kept. */
function trickle() {
  const sent = [];
  const made = new Trickle(async (...message) => void sent.push(message));
  return { made, sent };
}

test("no candidate is sent before the doorbell has answered, and the last one says so", async () => {
  const { made, sent } = trickle();
  made.take({ candidate: NAMED });
  made.take(null);
  await settled(100);
  assert.deepEqual(sent, []);
  made.begin();
  await settled();
  assert.deepEqual(sent, [[1, [NAMED], true]]);
});

test("candidates that come later are sent together, numbered on; what the offer said isn't", async () => {
  const { made, sent } = trickle();
  made.skip(`v=0\r\na=${HOST}\r\n`);
  made.take({ candidate: HOST });
  made.begin();
  made.take({ candidate: NAMED });
  made.take({ candidate: "" });
  made.take({ candidate: `${NAMED} 2` });
  await settled(100);
  assert.deepEqual(sent, [[1, [NAMED, `${NAMED} 2`], false]]);
  made.take(null);
  await settled(100);
  assert.deepEqual(sent[1], [2, [], true]);
});

test("at most sixteen messages of thirty-two candidates are sent, whatever the browser finds", async () => {
  const { made, sent } = trickle();
  for (let n = 0; n < 1000; n += 1) made.take({ candidate: `candidate:${n}` });
  made.begin();
  made.take(null);
  await settled(100);
  assert.ok(sent.length <= 16);
  assert.deepEqual(sent.map(([number]) => number), sent.map((_, i) => i + 1));
  assert.ok(sent.every(([, candidates]) => candidates.length <= 32));
});

test("nothing is sent once the session is over", async () => {
  const { made, sent } = trickle();
  made.begin();
  made.take({ candidate: NAMED });
  made.end();
  await settled(100);
  assert.deepEqual(sent, []);
});

test("what waits its turn isn't sent any more once the session is over", async () => {
  const sent = [];
  let arrived = () => {};
  const made = new Trickle((number) => {
    sent.push(number);
    return new Promise((resolve) => (arrived = resolve));
  });
  for (let n = 0; n < 40; n += 1) made.take({ candidate: `candidate:${n}` });
  made.begin();
  await settled();
  assert.deepEqual(sent, [1]);
  made.end();
  arrived();
  await settled();
  assert.deepEqual(sent, [1]);
});

test("an offer leaves out what only the home network can resolve", () => {
  const sdp = ["v=0", `a=${NAMED}`, `a=${HOST}`, ""].join("\r\n");
  assert.equal(withoutMdnsCandidates(sdp), ["v=0", `a=${HOST}`, ""].join("\r\n"));
});

const WATCHER = { name: "Mary", browser: "Phone", since_ms: 1, is_you: true };
const STATE = {
  type: "state",
  ends_in_s: 600,
  stream: "main",
  why: null,
  microphone: "off",
  talk: "open_line",
  talker: null,
  watching: [WATCHER],
};

test("takes the doorbell's words, and none that isn't one", () => {
  assert.deepEqual(parseSaid(JSON.stringify(STATE)), STATE);
  const reply = { id: "a", name: "Coming", kind: "recording" };
  assert.equal(parseSaid(JSON.stringify({ type: "replies", replies: [reply] })).replies.length, 1);
  assert.equal(parseSaid(JSON.stringify({ type: "error", reason: "busy", detail: "x" })).reason, "busy");
  for (const change of [
    { ends_in_s: -1 },
    { ends_in_s: 1.5 },
    { stream: "large" },
    { why: 3 },
    { microphone: true },
    { talk: "shout" },
    { talker: {} },
    { watching: null },
    { watching: [{ ...WATCHER, name: undefined }] },
    { watching: [{ ...WATCHER, is_you: "yes" }] },
    { type: "status" },
  ]) {
    assert.equal(parseSaid(JSON.stringify({ ...STATE, ...change })), null, JSON.stringify(change));
  }
  for (const data of ["", "null", "[]", "{", "3", new ArrayBuffer(3), `"${"x".repeat(20_000)}"`]) {
    assert.equal(parseSaid(data), null);
  }
});

test("wishes from before the channel is open wait for it, in order", () => {
  const channel = Object.assign(new EventTarget(), { readyState: "connecting", sent: [] });
  channel.send = (text) => channel.sent.push(JSON.parse(text));
  const control = new LiveControl(channel);
  control.wantQuality("small");
  control.talk(true, false);
  assert.deepEqual(channel.sent, []);
  channel.readyState = "open";
  channel.dispatchEvent(new Event("open"));
  control.renew();
  assert.deepEqual(channel.sent, [
    { type: "quality", want: "small" },
    { type: "talk", is_on: true, is_open_line: false },
    { type: "renew" },
  ]);
});

test("tells a line by what changed between two readings", async () => {
  const video = { id: "v", type: "inbound-rtp", kind: "video", framesPerSecond: 29.7, frameWidth: 1280 };
  const fixed = [
    { id: "t", type: "transport", selectedCandidatePairId: "p" },
    { id: "p", type: "candidate-pair", currentRoundTripTime: 0.0305, localCandidateId: "l", remoteCandidateId: "r" },
    { id: "l", type: "local-candidate", candidateType: "relay" },
    { id: "r", type: "remote-candidate", candidateType: "host" },
  ];
  const readings = [
    { bytesReceived: 1000, packetsReceived: 10, packetsLost: 0, jitterBufferDelay: 1, totalDecodeTime: 1, jitterBufferEmittedCount: 10 },
    { bytesReceived: 51_000, packetsReceived: 105, packetsLost: 5, jitterBufferDelay: 1.5, totalDecodeTime: 1.1, jitterBufferEmittedCount: 40 },
  ];
  let now = 0;
  const getStats = async () => new Map([...fixed, { ...video, ...readings[now] }].map((one) => [one.id, one]));
  const meter = new LineMeter({ getStats }, () => now * 1000);
  const first = await meter.read();
  assert.deepEqual([first.rttMs, first.way, first.fps, first.kbps], [31, "relayed", 30, null]);
  now = 1;
  const second = await meter.read();
  assert.deepEqual([second.kbps, second.lostPercent, second.delayMs, second.width], [400, 5, 20, 1280]);
});

test("a line of which the browser says nothing is told as unknown", async () => {
  const meter = new LineMeter({ getStats: async () => new Map() });
  const { rttMs, way, fps, kbps } = await meter.read();
  assert.deepEqual([rttMs, way, fps, kbps], [null, null, null, null]);
});

/** A microphone whose user answers when the test says so. */
function microphone() {
  const track = { enabled: true, readyState: "live", stop: () => (track.readyState = "ended") };
  const replaced = [];
  let answer = () => {};
  let asked = 0;
  const devices = {
    getUserMedia: () => {
      asked += 1;
      return new Promise((resolve, reject) => {
        answer = (error) => (error ? reject(error) : resolve({ getAudioTracks: () => [track] }));
      });
    },
  };
  const made = new Microphone({ replaceTrack: async (one) => void replaced.push(one) }, devices);
  return { made, track, replaced, answer: (error) => answer(error), asked: () => asked };
}

test("a voice goes out only while it is wanted, and the user is asked once", async () => {
  const { made, track, replaced, answer, asked } = microphone();
  const first = made.speak();
  const second = made.speak();
  answer();
  await Promise.all([first, second]);
  assert.equal(asked(), 1);
  assert.deepEqual(replaced, [track]);
  assert.equal(track.enabled, true);
  made.hush();
  assert.equal(track.enabled, false);
  made.close();
  assert.equal(track.readyState, "ended");
});

test("who let go while the browser asked isn't heard", async () => {
  const { made, track, answer } = microphone();
  const speaking = made.speak();
  made.hush();
  answer();
  await speaking;
  // Seen to fail with the track left enabled when it is opened.
  assert.equal(track.enabled, false);
  made.close();
});

test("a microphone that comes after the session's end is given back", async () => {
  const { made, track, answer, replaced } = microphone();
  const speaking = made.speak();
  made.close();
  answer();
  await speaking;
  assert.equal(track.readyState, "ended");
  assert.deepEqual(replaced, []);
});

test("says why there is no microphone", async () => {
  for (const [name, reason] of [
    ["NotAllowedError", "denied"],
    ["NotFoundError", "missing"],
    ["NotReadableError", "busy"],
  ]) {
    const { made, answer } = microphone();
    const speaking = made.speak();
    answer(new DOMException("no", name));
    await assert.rejects(speaking, (error) => error instanceof NoMicrophone && error.reason === reason);
  }
});

/** A relay that counts what it is asked, and a household of one doorbell. */
function ready() {
  const asked = [];
  let count = 0;
  const relay = {
    post: async (path) => {
      asked.push(path);
      return { nonce: `nonce-${(count += 1)}` };
    },
    get: async (path) => {
      asked.push(path);
      return { ice_servers: [], reach: "home_only", expires_ms: 0 };
    },
  };
  const bell = { device: "d", identity_key: "k", sealing_key: "s" };
  const household = { relay, owner: {}, doorbell: () => bell, forged: new Set() };
  const clock = { ms: 0 };
  const made = new LiveReady(household, () => clock.ms);
  made.browser = Promise.resolve({ id: "b" });
  return { made, asked, clock };
}

globalThis.localStorage ??= { getItem: () => null };

test("a call takes what was fetched ahead, and no nonce twice", async () => {
  const { made, asked } = ready();
  await made.prepare("d");
  assert.equal(asked.length, 2);
  const first = await made.call("d", "live");
  assert.equal(asked.length, 2);
  const second = await made.call("d", "live");
  assert.deepEqual([first.nonce, second.nonce, first.reach], ["nonce-1", "nonce-2", "home_only"]);
});

test("a nonce that is about to end is fetched anew", async () => {
  const { made, clock } = ready();
  await made.prepare("d");
  clock.ms = 99_000;
  assert.equal((await made.call("d", "live")).nonce, "nonce-1");
  await made.prepare("d");
  clock.ms = 200_000;
  assert.equal((await made.call("d", "live")).nonce, "nonce-3");
});

test("what couldn't be fetched isn't kept", async () => {
  const { made } = ready();
  const { post } = made.relay;
  made.relay.post = async () => Promise.reject(new Error("offline"));
  await made.prepare("d");
  await assert.rejects(made.call("d", "live"));
  made.relay.post = post;
  assert.equal((await made.call("d", "live")).nonce, "nonce-1");
});

test("steps from picture to picture by their own times, and not over the ends", () => {
  const times = [0, 0.1, 0.25, 0.3];
  assert.equal(stepFrom(times, 0.1, 1), 0.251);
  assert.equal(stepFrom(times, 0.2, 1), 0.251);
  assert.equal(stepFrom(times, 0.251, -1), 0.101);
  assert.equal(stepFrom(times, 0, -1), 0.001);
  assert.equal(stepFrom(times, 9, 1), 0.301);
});

test("what may watch is what was told last, and not over", () => {
  const told = (time_ms, device, body) => [String(time_ms), { note: { device, body }, time_ms }];
  const enrolled = (browser, until_ms) => ({ type: "browser_enrolled", browser, name: browser, until_ms });
  const notes = new Map([
    told(5, "one", { type: "browser_ended", browser: "b", name: "b" }),
    told(1, "one", enrolled("a", 100)),
    told(2, "one", enrolled("b", 100)),
    told(3, "one", enrolled("c", 10)),
    told(4, "one", enrolled("a", 200)),
    told(6, "two", enrolled("b", 100)),
  ]);
  const known = browsersKnown({ notes }, 50).map(({ device, browser, until_ms }) => [device, browser, until_ms]);
  assert.deepEqual(known, [
    ["two", "b", 100],
    ["one", "a", 200],
  ]);
});

test("who watches now is who began and hasn't ended, not for ever", () => {
  const hour = 3600 * 1000;
  const told = (type, session_id, at_ms, device = "d") => ({ note: { device, body: { type, session_id, at_ms } } });
  const notes = new Map(
    [
      told("watching_began", "b", hour + 2),
      told("watching_began", "a", hour + 1),
      told("watching_began", "gone", hour + 1),
      told("watching_ended", "gone", hour + 3),
      told("watching_began", "forgotten", 1),
      told("watching_began", "elsewhere", hour + 1, "e"),
    ].map((one, i) => [String(i), one]),
  );
  const watching = watchingNow({ notes }, "d", hour + 10);
  assert.deepEqual(watching.map(({ session_id }) => session_id), ["a", "b"]);
});

test("a browser is named after what it says it is", () => {
  const names = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0 Safari/537.36": ["Chrome", "Linux"],
    "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36": ["Chrome", "Android"],
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1": ["Safari", "iPhone"],
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36 Edg/156.0": ["Edge", "Windows"],
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:150.0) Gecko/20100101 Firefox/150.0": ["Firefox", "Mac"],
  };
  const words = (name, { browser, system }) => `${browser} on ${system}`;
  for (const [userAgent, [browser, system]] of Object.entries(names)) {
    assert.equal(usualBrowserName(userAgent, words), `${browser} on ${system}`);
  }
});

test("a kept file is named after the door and the reader's own time", () => {
  assert.match(fileName("Vår dörr!", 1_790_000_000_000, "png"), /^var-dorr-2026-09-2\d-\d{6}\.png$/);
  assert.match(fileName("", 1_790_000_000_000, "mp4"), /^door-2026/);
});

test("a household opens this browser's notes, and leaves other browsers' alone", async () => {
  const household = new Household({}, { credential_id: "c" });
  household.browser = { id: "mine", pairs: { viewing: null } };
  const note = { type: "note", credential_id: "c", browser: "another", sealed: "AA" };
  const event = { id: "e", device: "d", seq: 1, time_ms: 1, is_clock_trusted: true, body: note };
  const told = { relay_seq: 1, received_ms: 1, corrected_ms: null, event };
  household.relay.get = async (path) => (path === "doorbells" ? { doorbells: [] } : { events: [told] });
  await household.load();
  assert.deepEqual([household.unopenedNotes, household.isUntold], [0, true]);
});
