/**
 * Packages as a hostile doorbell can seal them, in the saved page: refused in words, and never
 * read as a whole. The same in Python: tests/attacks/test_only_the_agency_opens_a_package.py.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, b64u, canonical, join, sha256, sha256Hex, unb64u, unhex, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { sealTo } from "../../relay/web/static/js/protocol/sealing.js";
import { openPackage } from "../../relay/web/saved/packages.js";

const { key } = JSON.parse(readFileSync(new URL("../vectors/packages/given.json", import.meta.url), "utf8"));
const [PRIVATE, PUBLIC] = [unb64u(key.sealing_private_key), unb64u(key.sealing_public_key)];
const CHUNK_BYTES = 64 * 1024;
const MIB = 1024 * 1024;
const GRANT = "12".repeat(32);

function uint32(value) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return new Uint8Array(view.buffer);
}

/** Returns a package with this inside, whatever it is. */
async function seal(plain) {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const wrapped = await sealTo(PUBLIC, secret, join(utf8("doorward/package/v1\0"), unhex(GRANT)));
  const header = utf8(canonical({
    ...{ v: 1, package_id: "a".repeat(26), device: "a".repeat(20), agency: "lakeland", grant_digest: GRANT },
    keys: [{ recipient: b64u(PUBLIC), wrapped: b64u(wrapped) }],
  }));
  const content = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt"]);
  const additionalData = await sha256(header);
  const count = Math.max(1, Math.ceil(plain.length / CHUNK_BYTES));
  const chunks = [];
  for (let i = 0; i < count; i += 1) {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(7, i);
    iv[11] = i === count - 1 ? 1 : 0;
    const chunk = plain.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    chunks.push(new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, content, chunk)));
  }
  return join(utf8("DWPKG1\r\n"), uint32(header.length), header, ...chunks);
}

async function entry(name, data, changes = {}) {
  return { name, size_bytes: data.length, sha256: await sha256Hex(data), ...changes };
}

function inside(files, ...data) {
  const index = utf8(canonical({ files }));
  return join(uint32(index.length), index, ...data);
}

const open = async (plain) => (await openPackage(new Blob([await seal(plain)]), PRIVATE, PUBLIC)).files;
const [A, B] = [new Uint8Array(70_000).fill(97), utf8("{}")];

test("what is right opens, a file as large as it likes, a piece at a time", async () => {
  const large = new Uint8Array(3 * MIB).map((_, place) => place >> 3);
  const plain = inside([await entry("clip-1.mp4", large), await entry("part-1.json", B)], large, B);
  const sealed = new Blob([await seal(plain)]);
  let largest = 0;
  const slice = sealed.slice.bind(sealed);
  sealed.slice = (...range) => {
    const part = slice(...range);
    const whole = part.arrayBuffer.bind(part);
    part.arrayBuffer = () => {
      largest = Math.max(largest, part.size);
      return whole();
    };
    const again = part.slice.bind(part);
    part.slice = (...inner) => {
      const piece = again(...inner);
      largest = Math.max(largest, piece.size);
      return piece;
    };
    return part;
  };
  const { files } = await openPackage(sealed, PRIVATE, PUBLIC);
  assert.deepEqual(new Uint8Array(await files.get("clip-1.mp4").arrayBuffer()), large);
  assert.equal(await files.get("part-1.json").text(), "{}");
  assert.ok(largest < 1.1 * MIB, `${largest} bytes at once`);
});

test("what its list of files doesn't say truly is refused in words", async () => {
  const [a, b] = [await entry("clip-1.mp4", A), await entry("part-1.json", B)];
  const both = inside([a, b], A, B);
  const lying = {
    nothing: [new Uint8Array(), /is cut off/],
    "three bytes": [new Uint8Array(3), /is cut off/],
    "an index of four gigabytes": [new Uint8Array(200).fill(255), /index is cut off or too large/],
    "an index longer than it": [both.subarray(0, 100), /index is cut off or too large/],
    "an index beyond its limit": [join(uint32(65_537), new Uint8Array(70_000)), /too large/],
    "no JSON": [join(uint32(2), utf8("[["), A), /not JSON/],
    "no files": [join(uint32(12), utf8('{"files":[]}')), /between 1 and 128 files/],
    "a file cut off": [inside([a, b], A, B.subarray(1)), /more or less than its index names/],
    "a byte more": [inside([a, b], A, B, B.subarray(1)), /more or less than its index names/],
    "files in another order": [inside([a, b], B, A), /clip-1\.mp4 inside the package is damaged/],
    "a file twice": [inside([b, b], B, B), /part-1\.json inside the package is damaged/],
    "a terabyte": [inside([{ ...a, size_bytes: 2 ** 40 }], A), /more or less than its index names/],
  };
  assert.equal((await open(both)).size, 2);
  for (const [why, [plain, words]] of Object.entries(lying)) {
    await assert.rejects(open(plain), (error) => error instanceof WireError && words.test(error.message), why);
  }
});
