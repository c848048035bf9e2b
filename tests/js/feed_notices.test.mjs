/** What the service worker shows when the relay wakes it for neighbours: what is followed, once. */
import assert from "node:assert/strict";
import test from "node:test";

import { writeFeedChoice } from "../../relay/owner_app/feed_choice.js";
import { writeWorkerStore } from "../../relay/owner_app/worker_store.js";
import { Pushed } from "../../relay/owner_app/worker/pushed.js";
import { notificationWorker } from "../fakes/notification_worker.mjs";

const NOW = Date.now();
const id = (letter) => letter.repeat(26);
const post = (letter, changes = {}) => ({
  id: id(letter),
  kind: "parcel_taken",
  cell: "88441a5ac7fffff",
  hour_ms: NOW - 7_200_000,
  published_ms: NOW - 60_000,
  text: "A parcel was taken from a porch.\nIts box was left.",
  pictures: [],
  by: "neighbour",
  agency: null,
  refers: null,
  is_urgent: false,
  ...changes,
});

/** A phone that follows safety in Lake Morton, and a relay with these posts. */
async function phone(posts, { language = "en", followed = {}, legal = [] } = {}) {
  const worker = notificationWorker({ language });
  const files = globalThis.fetch;
  const asked = [];
  globalThis.fetch = async (input, options) => {
    const url = String(input?.url ?? input);
    if (!url.startsWith("http://relay.test/")) return files(input);
    asked.push(url);
    const answer = url.endsWith("/feed/mine") ? { posts: [], legal } : { posts, more: false };
    return new Response(JSON.stringify(answer), { headers: { "content-type": "application/json" } });
  };
  await writeWorkerStore({ relay_url: "http://relay.test", token: "t", credential_id: "c", doorbells: [], language, locale: language === "en" ? "en-GB" : "sv-SE" });
  if (followed !== null) await writeFeedChoice("http://relay.test/api/v1/", { credential_id: "c", district: "lake-morton", name: "Lake Morton", groups: ["safety"], since_ms: NOW - 3_600_000, ...followed });
  const pushed = new Pushed(worker.registration);
  return { worker, asked, wake: () => pushed.take("") };
}

const plain = (text) => text.replaceAll(/[⁨⁩]/g, "");

test("a post of what is followed is told in words, and asked for as everybody asks", async () => {
  const { worker, asked, wake } = await phone([post("a")]);
  await wake();
  const { title, body, data } = worker.only();
  assert.equal(plain(title), "A parcel was taken in Lake Morton");
  assert.equal(plain(body), "A parcel was taken from a porch.");
  assert.equal(data.hash, "#/neighbours");
  assert.deepEqual(asked, ["http://relay.test/api/v1/feed/mine", "http://relay.test/api/v1/feed/posts?district=lake-morton"]);
});

test("legal process about own posts is told once, and leads to them", async () => {
  const legal = [{ id: id("l"), kind: "subpoena", yielded: ["posts"], told_ms: NOW - 60_000 }];
  const { worker, wake } = await phone([], { legal });
  await wake();
  const { title, data } = worker.only();
  assert.equal(plain(title), "Legal process about your posts");
  assert.equal(data.hash, "#/neighbours/mine");
  await wake();
  worker.only();
});

test("it is told in Swedish too", async () => {
  const { worker, wake } = await phone([post("a")], { language: "sv" });
  await wake();
  assert.equal(plain(worker.only().title), "Ett paket har stulits i Lake Morton");
});

test("several are one notification", async () => {
  const { worker, wake } = await phone([post("a"), post("b", { kind: "fire", text: "Smoke." })]);
  await wake();
  assert.equal(plain(worker.only().title), "2 new posts in Lake Morton");
});

test("each post is told once, however often the relay wakes", async () => {
  const { worker, wake } = await phone([post("a")]);
  await wake();
  worker.only().close();
  await wake();
  assert.equal(worker.shown.size, 0);
});

const UNTOLD = {
  "what isn't followed": [[post("a", { kind: "lost" })], {}],
  "what was published before it was followed": [[post("a", { published_ms: NOW - 7_200_000 })], {}],
  "what another account follows": [[post("a")], { followed: { credential_id: "other" } }],
  "anything where nothing is followed": [[post("a")], { followed: null }],
};
for (const [what, [posts, how]] of Object.entries(UNTOLD)) {
  test(`${what} isn't told`, async () => {
    const { worker, wake } = await phone(posts, how);
    await wake();
    assert.equal(worker.shown.size, 0);
  });
}

test("who signed out is told nothing, and nothing is asked", async () => {
  const { worker, asked, wake } = await phone([post("a")]);
  const { forgetWorkerStore } = await import("../../relay/owner_app/worker_store.js");
  await forgetWorkerStore("http://relay.test");
  await wake();
  assert.deepEqual([worker.shown.size, asked], [0, []]);
});

test("a long text is cut in a notification", async () => {
  const { worker, wake } = await phone([post("a", { text: "x".repeat(900) })]);
  await wake();
  assert.equal([...worker.only().body].length, 140);
});
