/**
 * A notice for passers-by is read as its doorbell signed it, and nothing else is.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/js/protocol/", import.meta.url);
const use = (name) => import(new URL(name, home).href);
const vector = JSON.parse(readFileSync(new URL("../vectors/door_notices.json", import.meta.url), "utf8"));

const { WireError } = await use("encoding.js");
const { CONTACT_CHARS, MAX_CONTACT_BYTES, checkNotice, contactBytes } = await use("door_notices.js");
const { signed } = vector.told;

test("a notice is read under the id of the key that signed it", async () => {
  const notice = await checkNotice(signed, vector.notice_id);
  assert.equal(notice.contact, "Åsa, vid dörren");
  assert.deepEqual(notice.masks, JSON.parse(signed.notice).masks);
});

test("another id, other words and another signature are refused", async () => {
  const words = signed.notice.replace('"keep_days":14', '"keep_days":1');
  assert.notEqual(words, signed.notice);
  const { binding } = vector.told; // by the same key, over something else
  for (const [changed, id] of [
    [signed, "b".repeat(26)],
    [{ ...signed, notice: words }, vector.notice_id],
    [{ ...signed, signature: binding }, vector.notice_id],
    [{ ...signed, notice: "{}" }, vector.notice_id],
  ]) {
    await assert.rejects(checkNotice(changed, id), WireError);
  }
});

test("the longest contact is the doorbell's", () => {
  assert.equal(MAX_CONTACT_BYTES, vector.max_contact_bytes);
  assert.equal(contactBytes('"å'), 4 + 2 + 6);
  assert.equal(contactBytes("x".repeat(CONTACT_CHARS)), CONTACT_CHARS + 6);
});
