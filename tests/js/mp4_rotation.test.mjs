/**
 * The matrix of a film's track: four angles, and nothing else; as in tests/firmware/test_rotation.py.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, unb64u } from "../../relay/web/static/js/protocol/encoding.js";
import { readMp4 } from "../../relay/web/static/js/protocol/mp4.js";

const { plain_mp4 } = JSON.parse(readFileSync(new URL("../vectors/sound.json", import.meta.url), "utf8"));
const CLIP = Buffer.from(unb64u(plain_mp4));
const MATRIX_AT = CLIP.indexOf("tkhd") + 4 + 40;
const [WIDTH, HEIGHT] = [CLIP.readUInt16BE(MATRIX_AT + 36), CLIP.readUInt16BE(MATRIX_AT + 40)];

/** Returns the clip with these numbers (16.16) as its film's matrix. */
function turned([a, b, u, c, d, v, x, y]) {
  const data = Buffer.from(CLIP);
  [a, b, u, c, d, v, x, y].forEach((number, place) => data.writeInt32BE(number * 65_536, MATRIX_AT + 4 * place));
  return new Blob([data]);
}

const ANGLES = {
  0: [1, 0, 0, 0, 1, 0, 0, 0],
  90: [0, 1, 0, -1, 0, 0, HEIGHT, 0],
  180: [-1, 0, 0, 0, -1, 0, WIDTH, HEIGHT],
  270: [0, -1, 0, 1, 0, 0, 0, WIDTH],
};
const STRANGE = {
  mirrored: [-1, 0, 0, 0, 1, 0, WIDTH, 0],
  transposed: [0, 1, 0, 1, 0, 0, 0, 0],
  larger: [2, 0, 0, 0, 2, 0, 0, 0],
  moved: [1, 0, 0, 0, 1, 0, 1, 0],
  "turned away from its place": [0, 1, 0, -1, 0, 0, 0, 0],
  "in perspective": [1, 0, 1, 0, 1, 0, 0, 0],
};

for (const [angle, matrix] of Object.entries(ANGLES)) {
  test(`a film may be turned by ${angle} degrees`, async () => {
    assert.equal((await readMp4(turned(matrix))).rotation, Number(angle));
  });
}

for (const [name, matrix] of Object.entries(STRANGE)) {
  test(`a film that is ${name} is refused`, async () => {
    const mp4 = await readMp4(turned(matrix));
    assert.throws(() => mp4.rotation, WireError);
  });
}

test("a size in fractions of a pixel is refused", async () => {
  const data = Buffer.from(CLIP);
  data.writeUInt16BE(1, MATRIX_AT + 38);
  const mp4 = await readMp4(new Blob([data]));
  assert.throws(() => mp4.rotation, WireError);
});
