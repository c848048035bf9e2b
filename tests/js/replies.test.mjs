/**
 * Quick replies in the owner's app: the file that a recording becomes, and what a doorbell's words
 * must be to be believed.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { wavOf } from "../../relay/owner_app/recorder.js";
import { parseChannelMessage } from "../../relay/owner_app/reply_client.js";
import { shortened } from "../../relay/owner_app/views/reply_forms.js";

const REPLY = { id: "a".repeat(26), name: "Coming", kind: "recording", text: "", language: "en" };
const LIST = { type: "replies", replies: [REPLY], default: REPLY.id, after_s: 20, most: 8 };

test("a recording is a WAV file of 16 bits, mono, with every sample in its range", () => {
  const wav = wavOf(Float32Array.of(0, 1, -1, 2, -2, 0.5), 48_000);
  const view = new DataView(wav.buffer);
  assert.equal(wav.length, 44 + 12);
  assert.equal(new TextDecoder().decode(wav.slice(0, 4)), "RIFF");
  assert.equal(view.getUint32(4, true), wav.length - 8);
  assert.deepEqual([view.getUint16(20, true), view.getUint16(22, true), view.getUint32(24, true)], [1, 1, 48_000]);
  assert.deepEqual([view.getUint32(28, true), view.getUint16(32, true), view.getUint16(34, true)], [96_000, 2, 16]);
  assert.equal(view.getUint32(40, true), 12);
  const samples = [...new Int16Array(wav.buffer, 44)];
  assert.deepEqual(samples, [0, 32_767, -32_767, 32_767, -32_767, 16_384]);
});

test("no more than five seconds are written", () => {
  assert.equal(wavOf(new Float32Array(48_000 * 6), 48_000).length, 44 + 48_000 * 5 * 2);
});

test("what a doorbell says of its replies is taken as it is", () => {
  assert.deepEqual(parseChannelMessage(JSON.stringify(LIST)), LIST);
  assert.deepEqual(parseChannelMessage('{"type":"received","bytes":16384}'), { type: "received", bytes: 16_384 });
  const error = { type: "error", reason: "card", detail: "full" };
  assert.deepEqual(parseChannelMessage(JSON.stringify(error)), error);
});

for (const [what, said] of Object.entries({
  "no JSON": "{",
  bytes: new ArrayBuffer(4),
  "an unknown type": '{"type":"launch"}',
  "a default that isn't there": JSON.stringify({ ...LIST, default: "b".repeat(26) }),
  "a reply without a name": JSON.stringify({ ...LIST, replies: [{ ...REPLY, name: 1 }] }),
  "another kind": JSON.stringify({ ...LIST, replies: [{ ...REPLY, kind: "song" }] }),
  "replies that are none": JSON.stringify({ ...LIST, replies: null }),
  "a negative count": '{"type":"received","bytes":-1}',
  "too much": JSON.stringify({ ...LIST, more: "x".repeat(40_000) }),
  null: "null",
})) {
  test(`a message with ${what} is left out`, () => assert.equal(parseChannelMessage(said), null));
}

test("a long text is named by its first words", () => {
  assert.equal(shortened("Hello"), "Hello");
  const name = shortened("Please leave it at the door, thank you very much indeed");
  assert.equal(name, "Please leave it at the door, thank you…");
  assert.ok(shortened("x".repeat(100)).length <= 40);
});
