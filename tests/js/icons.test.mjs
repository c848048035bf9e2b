/**
 * The app's icons, drawn from the mark.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { inflateSync } from "node:zlib";

import { ICONS, drawIcon, readMark } from "../../relay/web/icons.mjs";

const svg = readFileSync(new URL("../../relay/web/static/mark.svg", import.meta.url), "utf8");
const mark = readMark(svg);

/** Returns a pixel's colour; good for these icons only: one IDAT, no filter. */
function pixels(png) {
  const size = Buffer.from(png).readUInt32BE(16);
  const length = Buffer.from(png).readUInt32BE(33);
  const rows = inflateSync(Buffer.from(png).subarray(41, 41 + length));
  return { size, at: (x, y) => [...rows.subarray(y * (1 + size * 4) + 1 + x * 4).subarray(0, 4)] };
}

test("each icon has its size, its ground, and the line where the mark has it", () => {
  for (const [name, { size, share, line, ground }] of Object.entries(ICONS)) {
    const icon = pixels(drawIcon(mark, name));
    assert.equal(icon.size, size, name);
    assert.deepEqual(icon.at(0, 0), ground, name);
    const scale = (size * share) / mark.size;
    const [x, y] = [26, 30].map((value) => Math.floor((size - mark.size * scale) / 2 + value * scale));
    assert.deepEqual(icon.at(x, y), line, name);
  }
});

test("a maskable icon keeps the mark inside of what every phone shows", () => {
  for (const [name, { size, ground }] of Object.entries(ICONS)) {
    if (!name.startsWith("maskable")) continue;
    const icon = pixels(drawIcon(mark, name));
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const isOutside = Math.hypot(x - size / 2, y - size / 2) > 0.4 * size;
        if (isOutside) assert.deepEqual(icon.at(x, y), ground, `${name} ${x} ${y}`);
      }
    }
  }
});

test("a mark with a curve is refused instead of being drawn wrong", () => {
  assert.throws(() => readMark(svg.replace('d="M43 42', 'd="M43 42C1 2 3 4 5 6')), /straight line/);
  assert.throws(() => readMark("<svg/>"), /isn't one stroked path/);
});
