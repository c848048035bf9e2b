/**
 * What a doorbell says of who lives there is read strictly, as far as it is used here.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { NoResidents, parseResidents } from "../../relay/owner_app/residents.js";

const WORDS = ["acid", "barn", "cave", "dawn", "easy", "fern"];
const APPROVER = { name: "Desk", credential_id: "AQ", words: WORDS };
const HOUSEHOLD = { v: 1, owners: [], browsers: [], approvers: [APPROVER], recovery_words: [] };

const read = (changes) => parseResidents(JSON.stringify({ ...HOUSEHOLD, ...changes }));

test("the keys that confirm, and the recovery key, are read with their words", () => {
  assert.deepEqual(read({}), { approvers: [APPROVER], recovery_words: [] });
  assert.deepEqual(read({ recovery_words: WORDS }).recovery_words, WORDS);
});

for (const [what, changes] of Object.entries({
  "another version": { v: 2 },
  "no list": { approvers: {} },
  "a key without a name": { approvers: [{ ...APPROVER, name: 1 }] },
  "a key without an id": { approvers: [{ ...APPROVER, credential_id: null }] },
  "five words": { approvers: [{ ...APPROVER, words: WORDS.slice(1) }] },
  "words that are none": { recovery_words: [1, 2, 3, 4, 5, 6] },
})) {
  test(`${what} is not who lives here`, () => assert.throws(() => read(changes), NoResidents));
}

test("what is no JSON is not who lives here", () => assert.throws(() => parseResidents("{"), NoResidents));
