/**
 * A recording on its way over a data channel: it goes on where it was after a seek.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { Download } from "../../relay/owner_app/clips.js";

const CLIP = "a".repeat(26);

/** An RTCDataChannel, as far as it is used. */
class Channel extends EventTarget {
  readyState = "open";
  /** @type {unknown[]} */
  sent = [];

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  tell(data) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: data instanceof ArrayBuffer ? data : JSON.stringify(data) }));
  }
}

test("what a seek stopped is asked for again from where it was, and is whole", async () => {
  // Seen to fail with the answer to "stopped" out of `Download.over`: nothing was asked for again.
  const channel = new Channel();
  const head = { clip: CLIP, size: 7, digest: "d", manifest: {} };
  const coming = new Download(CLIP, () => {}).over(channel);
  channel.tell({ ...head, from: 0 });
  channel.tell(new ArrayBuffer(3));
  channel.tell({ stopped: true });
  assert.deepEqual(channel.sent, [{ get: CLIP }, { get: CLIP, from: 3 }]);
  channel.tell({ playing: CLIP, from_ms: 5000, duration_ms: 9000 });
  channel.tell({ ...head, from: 3 });
  channel.tell(new ArrayBuffer(4));
  channel.tell({ end: CLIP });
  const { blob } = await coming;
  assert.equal(blob.size, 7);
});
