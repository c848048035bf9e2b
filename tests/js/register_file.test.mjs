/**
 * The whole register in a file: the saved page calls the same entries void as everybody else.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, unb64u, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { readRegister } from "../../relay/web/saved/verify/register_file.js";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/packages/registers.json", import.meta.url), "utf8"));
const MEGABYTE = 1024 * 1024;

const bytesOf = (entry) => (typeof entry === "string" ? utf8(entry) : unb64u(entry.b64u));
const entriesOf = ({ shared, entries }) => [...VECTORS.base.slice(0, shared), ...entries].map(bytesOf);

function number(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function fileOf(entries) {
  const parts = entries.flatMap((entry) => [number(entry.length), entry]);
  return new Blob([utf8("doorward/register-file/v1\n"), number(entries.length), ...parts]);
}

/** Everything in which two replays could differ, as tests/vectors/make_registers.py has it. */
function stateOf({ register, voids }, size) {
  const byKey = ([one], [other]) => (one < other ? -1 : 1);
  return {
    size,
    voids: [...voids.keys()],
    counts: [register.widenings, register.narrowings, register.chain],
    admins: [...register.admins.keys()].sort(),
    limits: register.limits.map(({ index }) => index),
    agreements: Object.fromEntries(
      [...register.agreements].sort(byKey).map(([agency, known]) => [agency, known.map(({ index, isSuspended }) => [index, isSuspended])]),
    ),
    officers: register.officers.map(({ index, isRevoked }) => [index, isRevoked]),
    requests: Object.fromEntries(
      [...register.requests].sort(byKey).map(([digest, { isWithdrawn, renewedBy }]) => [digest, [isWithdrawn, renewedBy]]),
    ),
  };
}

for (const register of VECTORS.registers) {
  test(`makes of the register "${register.name}" what is written down`, async () => {
    const entries = entriesOf(register);
    const whole = await readRegister(fileOf(entries));
    const checkpoint = { origin: register.origin, size: entries.length, root: unb64u(register.root) };
    const found = await whole.replayed(checkpoint, register.charter);
    const said = JSON.stringify([...found.voids].map(([index, { message }]) => [index, message]));
    assert.deepEqual(stateOf(found, entries.length), register.state, said);
  });
}

test("a file in another form is refused, and says why", async () => {
  for (const { name, data, words } of VECTORS.files) {
    const read = readRegister(new Blob([unb64u(data)]));
    if (words === "") await read;
    else await assert.rejects(read, (error) => error instanceof WireError && error.message.includes(words), name);
  }
});

test("a register of another log, or with too few entries, is refused; a later one is taken", async () => {
  const [register] = VECTORS.registers;
  const entries = entriesOf(register);
  const checkpoint = { origin: register.origin, size: entries.length, root: unb64u(register.root) };
  const replayed = async (changed) => (await readRegister(fileOf(changed))).replayed(checkpoint, register.charter);
  const swapped = [entries[1], entries[0], ...entries.slice(2)];
  for (const wrong of [swapped, [...entries.slice(0, -1), utf8("another")]]) {
    await assert.rejects(replayed(wrong), /register\.tlog is of another log than the evidence's register/);
  }
  await assert.rejects(replayed(entries.slice(0, -1)), /save it anew/);
  const { voids } = await replayed([...entries, utf8("what came later")]);
  assert.deepEqual([...voids.keys()], register.state.voids);
});

test("a file is read a piece at a time, whatever its size", async () => {
  const entry = new Uint8Array(65_535);
  const file = fileOf(Array(20).fill(entry));
  const asked = [];
  const watched = { size: file.size, slice: (from, to) => (asked.push(to - from), file.slice(from, to)) };
  assert.equal((await readRegister(watched)).size, 20);
  assert.ok(asked.length > 1 && Math.max(...asked) <= MEGABYTE);
  const long = { size: 512 * MEGABYTE + 1, slice: () => assert.fail("it is read") };
  await assert.rejects(readRegister(long), /has more than 536870912 bytes/);
});
