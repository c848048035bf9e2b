/** What the relay answers about neighbours: parsed strictly; and where a district's cells lie. */
import assert from "node:assert/strict";
import test from "node:test";

import { latLngToCell } from "h3-js";

import { Feed, postOf, ownPostOf } from "../../relay/owner_app/feed.js";
import { cellAround, distanceM, districtAround, drawingOf, inReadingOrder, partsOf } from "../../relay/owner_app/feed_cells.js";
import { followingOf, groupOf } from "../../relay/owner_app/feed_topics.js";
import { hoursOn, floored } from "../../relay/owner_app/views/neighbours_write.js";

const ID = "a".repeat(26);
const CELL = "88441a5ac7fffff";
const POST = {
  id: ID,
  kind: "parcel_taken",
  cell: CELL,
  hour_ms: 3_600_000,
  published_ms: 7_200_000,
  text: "A parcel was taken.\nIts box was left.",
  pictures: [ID],
  by: "neighbour",
  agency: null,
  refers: null,
  is_urgent: false,
};
const MINE = { id: ID, kind: "lost", cell: CELL, hour_ms: 0, text: "A cat", pictures: [], state: "refused", written_ms: 1, reason: "name", words: "", is_appealed: false, is_appeal_decided: false, appeal_until_ms: 9 };

test("a post is taken as it is told", () => {
  assert.deepEqual(postOf(POST), { id: ID, kind: "parcel_taken", cell: CELL, hour_ms: 3_600_000, text: POST.text, pictures: [ID], published_ms: 7_200_000, by: "neighbour", agency: null, request: null, is_urgent: false });
  assert.equal(postOf({ ...POST, refers: { request: ID } }).request, ID);
  assert.equal(postOf({ ...POST, refers: { agreement: "x" } }).request, null);
});

const FALSE = {
  id: ["../me", 5, null],
  kind: ["murder", null],
  cell: ["89441a5ac73ffff", "", "88441a5ac7fffff\" onload"],
  hour_ms: [-1, 1.5, "0", 2 ** 60],
  text: [null, "x".repeat(2001), ["a"]],
  pictures: [null, ["../../etc"], Array(5).fill(ID)],
  by: ["police", null],
  agency: ["", "a\nb", "x".repeat(121)],
  refers: [{ request: "javascript:alert(1)" }, "no"],
  is_urgent: [0, "true", undefined],
};
for (const [name, values] of Object.entries(FALSE)) {
  test(`a post whose ${name} isn't what it should be is refused`, () => {
    for (const value of values) assert.throws(() => postOf({ ...POST, [name]: value }), /neighbours/, JSON.stringify(value));
  });
}

test("a text can't turn the words around it", () => {
  assert.equal(postOf({ ...POST, text: "a\u202eb" }).text, "ab");
});

test("one's own post tells its state and why", () => {
  assert.equal(ownPostOf(MINE).reason, "name");
  assert.equal(ownPostOf({ ...MINE, state: "waiting", reason: null }).reason, null);
  for (const wrong of [{ state: "lost" }, { reason: "because" }, { is_appealed: null }, { written_ms: "now" }, { appeal_until_ms: "soon" }, { words: null }]) assert.throws(() => ownPostOf({ ...MINE, ...wrong }), /neighbours/);
});

test("a page of posts leaves out kinds of a later version, and no malformed post", async () => {
  const asked = [];
  const relay = { get: async (path) => (asked.push(path), { posts: [{ ...POST, kind: "flood" }, POST], more: true }) };
  const { posts, hasMore } = await new Feed(relay).posts("lake-morton", ID);
  assert.deepEqual([posts.length, hasMore, asked], [1, true, [`feed/posts?district=lake-morton&before=${ID}`]]);
  relay.get = async () => ({ posts: [{ ...POST, text: null }], more: false });
  await assert.rejects(new Feed(relay).posts("lake-morton", ID), /neighbours/);
});

test("what is followed is taken whole or not at all", () => {
  const following = { groups: ["safety"], how: "daily", minute: 1080, quiet: null, time_zone: "Europe/Stockholm" };
  assert.deepEqual(followingOf(following), following);
  for (const wrong of [{ groups: ["all"] }, { how: "hourly" }, { minute: 1440 }, { quiet: {} }, { time_zone: null }]) assert.throws(() => followingOf({ ...following, ...wrong }), /neighbours/);
  assert.deepEqual([groupOf("lost"), groupOf("found"), groupOf("fire")], ["lost_and_found", "lost_and_found", "safety"]);
});

// --- cells ---

const [LAT, LNG] = [28.0395, -81.9498];
const grid = [-1, 0, 1].flatMap((row) => [-1, 0, 1].map((column) => latLngToCell(LAT + row * 0.03, LNG + column * 0.03, 8)));

test("the cells of a district are told apart by where they lie", () => {
  const parts = partsOf(grid);
  const sides = grid.map((cell) => parts.get(cell).side);
  assert.deepEqual(sides, ["sw", "s", "se", "w", "middle", "e", "nw", "n", "ne"]);
  assert.ok(grid.every((cell) => parts.get(cell).number === 0));
});

test("cells are listed from the north, and numbered so whatever their order in the file", () => {
  const listed = inReadingOrder(grid);
  assert.deepEqual([...listed.slice(0, 3)].sort(), [...grid.slice(6)].sort());
  assert.deepEqual(partsOf([...grid].reverse()), partsOf(grid));
});

test("no two cells of a district have one name", () => {
  const many = [...new Set(Array.from({ length: 60 }, (_, at) => latLngToCell(LAT + (at % 8) * 0.008, LNG + Math.floor(at / 8) * 0.008, 8)))];
  const names = many.map((cell) => JSON.stringify(partsOf(many).get(cell)));
  assert.equal(new Set(names).size, many.length);
});

test("a drawing of a district has its north at the top and all cells inside", () => {
  const { width, height, outlines } = drawingOf(grid);
  const middle = (at) => outlines[at].points.reduce(([x, y], [px, py]) => [x + px / 6, y + py / 6], [0, 0]);
  assert.ok(middle(7)[1] < middle(1)[1], "north above south");
  assert.ok(middle(5)[0] > middle(3)[0], "east right of west");
  for (const [x, y] of outlines.flatMap(({ points }) => points)) assert.ok(x >= 0 && x <= width && y >= 0 && y <= height);
});

test("a door's own cell finds its district in the browser", () => {
  const door = latLngToCell(LAT, LNG, 9);
  const districts = [{ id: "a", name: "A", cells: grid.slice(0, 4) }, { id: "b", name: "B", cells: grid.slice(4) }];
  assert.equal(districtAround(districts, door).id, "b");
  assert.equal(cellAround(districts[1], door), grid[4]);
  assert.equal(districtAround(districts, latLngToCell(0, 0, 9)), null);
  assert.equal(districtAround(districts, null), null);
  assert.ok(distanceM(grid[4], door) < 700);
  assert.ok(Math.abs(distanceM(grid[7], door) - 3300) < 900);
});

test("the hours that can be told are over, and at most seven days old", () => {
  const now = new Date(2026, 10, 30, 14, 40).getTime();
  const today = new Date(2026, 10, 30).getTime();
  assert.equal(hoursOn(today, now).at(-1), floored(now));
  assert.equal(hoursOn(today, now).length, 15);
  const weekAgo = new Date(2026, 10, 23).getTime();
  assert.ok(hoursOn(weekAgo, now).every((ms) => now - ms < 7 * 24 * 3_600_000));
});
