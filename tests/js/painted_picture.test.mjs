/** What is left of a picture after it was painted: of what is covered, one colour. */
import assert from "node:assert/strict";
import test from "node:test";

import { COLOUR, between, faceBox, fittedSize, inside, paint, showsSomething, stepped, strokeBoxes } from "../../relay/owner_app/painted_picture.js";
import { Raster } from "../fakes/raster.mjs";

const SIZE = { width: 40, height: 30 };
const named = (x, y) => `${x},${y}`;
const NOTHING = { covered: [], isWhole: false, shown: [] };

/** A painted picture whose every pixel has a name of its own. */
function painted(painting) {
  const canvas = new Raster(SIZE.width, SIZE.height);
  canvas.context.globalAlpha = 0.5; // whatever was set before
  paint(canvas.context, new Raster(SIZE.width, SIZE.height, named), SIZE, painting);
  return canvas;
}

/** Counts the pixels of one colour, and asserts which ones they are. */
function assertCovered(canvas, isCovered) {
  for (let y = 0; y < SIZE.height; y += 1) {
    for (let x = 0; x < SIZE.width; x += 1) assert.equal(canvas.at(x, y), isCovered(x, y) ? COLOUR : named(x, y), `${x},${y}`);
  }
}

test("what is covered is one colour, and all else is as it was", () => {
  const box = { x: 5, y: 6, width: 10, height: 8, isFace: true };
  assertCovered(painted({ ...NOTHING, covered: [box] }), (x, y) => x >= 5 && x < 15 && y >= 6 && y < 14);
});

test("a box between pixels covers each pixel that it touches", () => {
  const box = { x: 4.6, y: 5.9, width: 10.1, height: 7.3, isFace: false };
  assertCovered(painted({ ...NOTHING, covered: [box] }), (x, y) => x >= 4 && x < 15 && y >= 5 && y < 14);
});

test("a picture that is covered whole shows nothing but what its author uncovered", () => {
  assertCovered(painted({ covered: [], isWhole: true, shown: [] }), () => true);
  const shown = [{ x: 2, y: 3, width: 4, height: 5 }, { x: 30, y: 20, width: 50, height: 50 }];
  assertCovered(painted({ covered: [], isWhole: true, shown }), (x, y) => !((x >= 2 && x < 6 && y >= 3 && y < 8) || (x >= 30 && y >= 20)));
});

test("a covered box stays covered where a shown one lies over it", () => {
  const covered = [{ x: 0, y: 0, width: 10, height: 10, isFace: true }];
  const shown = [{ x: 5, y: 5, width: 10, height: 10 }];
  assertCovered(painted({ covered, isWhole: true, shown }), (x, y) => (x < 10 && y < 10) || !(x >= 5 && x < 15 && y >= 5 && y < 15));
});

test("a stroke of the brush covers whole pixels along its way, without a gap however fast it was", () => {
  const stroke = { points: [{ x: 6.5, y: 5.5 }, { x: 30.5, y: 5.5 }], width: 4 };
  assertCovered(painted({ ...NOTHING, strokes: [stroke] }), (x, y) => x >= 4 && x < 33 && y >= 3 && y < 8);
  const dot = strokeBoxes({ points: [{ x: 0, y: 0 }], width: 4 }, SIZE);
  assert.deepEqual(dot, [{ x: 0, y: 0, width: 2, height: 2 }]);
});

test("a stroke covers what its author uncovered", () => {
  const shown = [{ x: 0, y: 0, width: 40, height: 30 }];
  const strokes = [{ points: [{ x: 10, y: 10 }], width: 4 }];
  assertCovered(painted({ covered: [], isWhole: true, shown, strokes }), (x, y) => x >= 8 && x < 12 && y >= 8 && y < 12);
});

test("a found face is covered with hair and ears, as far as the picture goes", () => {
  const box = faceBox({ x: 10, y: 10, width: 10, height: 10 }, SIZE);
  assert.deepEqual(box, { x: 6, y: 6, width: 18, height: 18, isFace: true });
  assert.deepEqual(faceBox({ x: -5, y: 20, width: 20, height: 20 }, SIZE), { x: 0, y: 13, width: 22, height: 17, isFace: true });
});

test("a picture is made smaller and never larger", () => {
  assert.deepEqual(fittedSize({ width: 4000, height: 3000 }), { width: 1600, height: 1200 });
  assert.deepEqual(fittedSize({ width: 300, height: 6400 }), { width: 75, height: 1600 });
  assert.deepEqual(fittedSize({ width: 640, height: 480 }), { width: 640, height: 480 });
  assert.deepEqual(fittedSize({ width: 100_000, height: 1 }), { width: 1600, height: 1 });
});

test("a stroke makes the same box whichever way it is drawn", () => {
  const box = { x: 3, y: 4, width: 20, height: 10 };
  for (const [a, b] of [[[3, 4], [23, 14]], [[23, 14], [3, 4]], [[3, 14], [23, 4]]]) {
    assert.deepEqual(between({ x: a[0], y: a[1] }, { x: b[0], y: b[1] }), box);
  }
});

test("arrow keys leave a box within the picture", () => {
  let box = { x: 10, y: 10, width: 10, height: 10 };
  for (let at = 0; at < 20; at += 1) box = stepped(box, { dx: 7, dy: 0, isSize: false }, SIZE);
  assert.deepEqual(box, { x: 30, y: 10, width: 10, height: 10 });
  for (let at = 0; at < 20; at += 1) box = stepped(box, { dx: -7, dy: -9, isSize: true }, SIZE);
  assert.deepEqual(box, { x: 30, y: 10, width: 8, height: 8 });
  for (let at = 0; at < 20; at += 1) box = stepped(box, { dx: 9, dy: 9, isSize: true }, SIZE);
  assert.deepEqual(inside(box, SIZE), box);
});

test("a picture in which nothing is uncovered has nothing to show", () => {
  assert.equal(showsSomething({ covered: [], isWhole: true, shown: [] }), false);
  assert.equal(showsSomething({ covered: [], isWhole: true, shown: [{ x: 0, y: 0, width: 9, height: 9 }] }), true);
  assert.equal(showsSomething(NOTHING), true);
});
