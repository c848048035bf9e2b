/**
 * MP4 files that claim more than they hold: each is named, by the same sentence as in Python
 * (tests/vectors/make_bombs.py), and no more of a file is read at once than the largest picture.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, sha256Hex, unb64u } from "../../relay/web/static/js/protocol/encoding.js";
import { readMp4 } from "../../relay/web/static/js/protocol/mp4.js";
import { Sha256, sha256OfBlob } from "../../relay/web/static/js/protocol/sha256.js";
import { readDocuments } from "../../relay/web/saved/verify/document_reader.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const { bombs } = vectors("mp4_bombs");
const CLIP = unb64u(vectors("sound").plain_mp4);
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_MS = 2000;

/** A Blob that knows how much of it was read at once. */
class Watched extends Blob {
  largest = 0;

  slice(...range) {
    const part = super.slice(...range);
    this.largest = Math.max(this.largest, part.size);
    return part;
  }
}

function fileOf({ first, pieces, last }) {
  const repeated = pieces.flatMap(({ bytes, times }) => {
    const piece = Buffer.from(unb64u(bytes));
    return Buffer.alloc(piece.length * times, piece);
  });
  return new Watched([CLIP.subarray(0, first), ...repeated, CLIP.subarray(CLIP.length - last)]);
}

async function readAll(file) {
  const mp4 = await readMp4(file);
  for await (const { nal_units } of mp4.pictures()) assert.ok(nal_units.length > 0);
  for await (const { data } of mp4.sound()) assert.ok(data.length > 0);
  return mp4;
}

for (const bomb of bombs) {
  test(`says of ${bomb.name} what Python says`, async () => {
    const file = fileOf(bomb);
    const begin = process.cpuUsage();
    let said = "";
    try {
      await readAll(file);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error?.stack));
      said = error.message;
    }
    assert.equal(said, bomb.error);
    assert.ok(file.largest <= MOST_BYTES, `${file.largest} bytes at once`);
    assert.ok(process.cpuUsage(begin).user / 1000 < MOST_MS);
  });
}

test("numbers of the index changed at random break nothing", async () => {
  const seed = Number(process.env.DOORWARD_SEED ?? Math.floor(Math.random() * 2 ** 32));
  let state = seed;
  const dice = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 400; round += 1) {
    const file = CLIP.slice();
    const view = new DataView(file.buffer);
    for (let n = dice(3); n >= 0; n -= 1) {
      view.setUint32(dice(4000), [0, 1, 0xffffffff, 0x80000000, 65_535, dice(2 ** 32), dice(256)][dice(7)]);
    }
    try {
      await readAll(new Blob([file]));
    } catch (error) {
      assert.ok(error instanceof WireError, `seed ${seed}, round ${round}: ${error?.stack}`);
    }
  }
});

test("a document of megabytes in a folder isn't read", async () => {
  const files = new Map([["grant.json", new Blob([new Uint8Array(8 * 1024 * 1024 + 1)])]]);
  await assert.rejects(readDocuments(files), /grant\.json has more than 8388608 bytes/);
});

test("SHA-256 piece by piece is WebCrypto's, however it is cut", async () => {
  const data = new Uint8Array(1024 * 1024 + 200).map((_, place) => (place * place) >> 3);
  for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 1024 * 1024, data.length]) {
    for (const step of [1024 * 1024 + 1, 77_777, 64 * 1024]) {
      const digest = new Sha256();
      digest.update(new Uint8Array());
      for (let begin = 0; begin < size; begin += step) digest.update(data.subarray(begin, Math.min(size, begin + step)));
      assert.equal(await digest.hex(), await sha256Hex(data.subarray(0, size)), `${size} by ${step}`);
    }
  }
  for (const extra of [0, 1, 8, 9, 54, 55, 56, 63, 64]) {
    const whole = data.subarray(0, 1024 * 1024 + 64 + extra);
    assert.equal(await sha256OfBlob(new Blob([whole])), await sha256Hex(whole), `${extra}`);
  }
});
