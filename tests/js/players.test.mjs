/**
 * What is pasted between another player's gateway and the app, against vectors from
 * firmware.protocol.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, b64u, canonical, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { parseCodeText, setupText } from "../../relay/web/static/js/protocol/players.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/players.json", import.meta.url), "utf8"));
const { keys } = vectors;

/** @param {unknown} value */
const code = (value) => `doorward-player:${b64u(utf8(canonical(value)))}`;

test("a player's code is read as it was written", () => {
  assert.deepEqual(parseCodeText(vectors.code), keys);
});

test("a code may have been broken into lines", () => {
  const { code: text } = vectors;
  assert.deepEqual(parseCodeText(`  ${text.slice(0, 40)}\r\n ${text.slice(40)}\n`), keys);
});

test("the set-up text is what the player reads", () => {
  assert.equal(setupText(vectors.setup), vectors.setup_text);
});

for (const [why, bad] of Object.entries({
  "an empty text": "",
  "something else": "doorward:abc",
  "a code that was cut": vectors.code.slice(0, -5),
  "a list": code([]),
  "nothing": code(null),
  "a field too many": code({ ...keys, v: 1 }),
  "a field too few": code({ name: keys.name, session_key: keys.session_key }),
  "a name of two lines": code({ ...keys, name: "a\nb" }),
  "no name": code({ ...keys, name: "" }),
  "a session key that isn't compressed": code({ ...keys, session_key: b64u(new Uint8Array(65).fill(4)) }),
  "a viewing key that is too short": code({ ...keys, viewing_key: "AAAA" }),
  "a number for a key": code({ ...keys, viewing_key: 7 }),
  "spaces in the JSON": `doorward-player:${b64u(utf8(JSON.stringify(keys, null, 1)))}`,
})) {
  test(`refuses ${why}`, () => {
    assert.throws(() => parseCodeText(bad), WireError);
  });
}
