/**
 * All that an owner decides has the doorbell's canonical text, and its notes are read as it wrote
 * them; no statement's size says what it decides.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/js/protocol/", import.meta.url);
const use = (name) => import(new URL(name, home).href);
const vectors = JSON.parse(readFileSync(new URL("../vectors/decisions.json", import.meta.url), "utf8"));

const { b64u, canonical, sha256Hex, unb64u, utf8, WireError } = await use("encoding.js");
const { statementText, sealStatement } = await use("grants.js");
const decisions = await use("decisions.js");
const { isSimple } = await use("polygons.js");
const rights = await use("rights.js");
const { approverWords, recoveryKeyWords } = await use("pairing.js");
const { parseApproverCode, parseRecoveryCode } = await use("owner_codes.js");
const { newSealingPair, openSealed, rawPublicKey } = await use("sealing.js");

const KINDS = [
  "add_approver", "add_owner", "confirm", "decline", "delete_clips", "end_approver", "end_export", "end_session", "export", "give_right", "grant",
  "hold", "keep_clips", "knock", "recovery", "refuse_agency", "remove_owner", "revoke", "settings", "undelete", "unhold",
];

test("a statement of each kind has the doorbell's canonical text and digest", async () => {
  assert.deepEqual(Object.keys(vectors.statements).sort(), KINDS);
  for (const [kind, { text, digest }] of Object.entries(vectors.statements)) {
    const wanted = JSON.parse(text);
    const built = JSON.parse(statementText(wanted.device, wanted.terms, wanted.not_after_ms));
    assert.equal(canonical({ ...built, nonce: wanted.nonce }), text, kind);
    assert.equal(await sha256Hex(utf8(text)), digest, kind);
  }
});

test("a note of each type is in the form that is read here", () => {
  for (const [type, text] of Object.entries(vectors.notes)) {
    assert.equal(canonical(JSON.parse(text)), text, type);
    assert.equal(JSON.parse(text).body.type, type);
  }
});

test("sealed statements of very different lengths are of one size, and open to what was sealed", async () => {
  const pair = await newSealingPair();
  const key = b64u(await rawPublicKey(pair.publicKey));
  const assertion = { credential_id: "c", authenticator_data: "a", client_data_json: "d", signature: "s" };
  const sizes = new Set();
  for (const statement of ["x", "y".repeat(3000), "ö".repeat(7000)]) {
    const sealed = unb64u(await sealStatement({ statement, assertion }, key));
    const plain = new TextDecoder().decode(await openSealed(pair, sealed, utf8("doorward/sealed-statement/v1")));
    assert.equal(plain.trimEnd(), canonical({ statement, assertion }));
    assert.equal(utf8(plain).length % vectors.limits.statement_step_bytes, 0);
    sizes.add(sealed.length);
  }
  assert.equal(sizes.size, 1);
  const long = unb64u(await sealStatement({ statement: "z".repeat(20_000), assertion }, key));
  assert.equal(long.length - [...sizes][0], vectors.limits.statement_step_bytes);
});

test("a right's limits, and what makes one wider, are the doorbell's", () => {
  assert.equal(rights.MAX_RIGHT_MS, vectors.limits.right_ms);
  assert.equal(rights.SELF_RENEWED_MS, vectors.limits.self_renewed_ms);
  for (const { before, after, now_ms, is_wider } of vectors.rights) {
    assert.equal(rights.isWider(before, after, now_ms), is_wider, canonical({ before, after }));
  }
  const { terms } = JSON.parse(vectors.statements.give_right.text);
  assert.deepEqual(rights.givenRight(terms.browser, terms, terms), terms);
});

test("the limits of a hold are the doorbell's", () => {
  assert.equal(decisions.MAX_HOLD_MS, vectors.limits.hold_ms);
  assert.equal(decisions.MAX_HOLD_WINDOW_MS, vectors.limits.hold_window_ms);
  assert.equal(decisions.UNDO_MS, vectors.limits.undo_ms);
  assert.equal(decisions.MAX_NAMED_CLIPS, vectors.limits.named_clips);
});

test("the six words over an approver's and a recovery key are the doorbell's", async () => {
  assert.deepEqual(await approverWords(vectors.approver.key), vectors.approver.words);
  assert.deepEqual(await recoveryKeyWords(vectors.recovery.keys), vectors.recovery.words);
});

const code = (prefix, document) => prefix + b64u(utf8(canonical(document)));

test("a pasted code gives the keys in it, also with line breaks", async () => {
  const { name, key } = vectors.approver;
  const approver = code("DWA1:", { name, key });
  assert.deepEqual(await parseApproverCode(approver.replaceAll(/(.{40})/g, "$1\n ")), { name, key });
  assert.deepEqual(await parseRecoveryCode(code("DWR1:", vectors.recovery.keys)), vectors.recovery.keys);
});

test("anything else that is pasted is refused", async () => {
  const { name, key } = vectors.approver;
  const { sealing_key, signing_key } = vectors.recovery.keys;
  for (const pasted of [
    "", "DWA1:", "DWA1:!!", "DWA1:nonsense", code("DWR1:", { name, key }), code("DWA1:", [name, key]), code("DWA1:", { key }),
    code("DWA1:", { name, key, more: "x" }), code("DWA1:", { name: 7, key }), code("DWA1:", { name: "two\nlines", key }),
    code("DWA1:", { name, key: { ...key, credential_id: 1 } }), code("DWA1:", { name, key: { ...key, more: "x" } }),
    code("DWA1:", { name, key: "x" }), `DWA1:${b64u(utf8(JSON.stringify({ name, key })))}`, code("DWA1:", { name, key }) + "A".repeat(3000),
  ]) {
    await assert.rejects(parseApproverCode(pasted), WireError, pasted.slice(0, 80));
  }
  for (const document of [{ sealing_key }, { sealing_key: "AA", signing_key }, { sealing_key, signing_key, more: "" }, null]) {
    await assert.rejects(parseRecoveryCode(code("DWR1:", document)), WireError);
  }
});

test("settings follow on those before, and keep what only a newer app knows", () => {
  const first = decisions.nextSettings(null, { is_opted_in: true });
  assert.deepEqual(first, { revision: 1, is_opted_in: true });
  const newer = { ...first, night_mode: "red" };
  assert.deepEqual(decisions.nextSettings(newer, { keep_days: 7 }), { revision: 2, is_opted_in: true, night_mode: "red", keep_days: 7 });
  assert.deepEqual(decisions.nextSettings(first, { is_opted_in: null }), { revision: 2 });
});

for (const { before, after, changed, widened } of vectors.settings) {
  test(`settings from ${JSON.stringify(before)} to ${JSON.stringify(after)} widen as the doorbell says`, () => {
    assert.deepEqual(decisions.changed(before, after, vectors.file).sort(), changed);
    assert.deepEqual(decisions.widened(before, after, vectors.file).sort(), widened);
  });
}

test("an outline that crosses or touches itself is no polygon", () => {
  assert.equal(isSimple([[0, 0], [10, 0], [10, 10], [0, 10]]), true);
  assert.equal(isSimple([[0, 0], [10, 10], [10, 0], [0, 10]]), false);
  assert.equal(isSimple([[0, 0], [10, 0], [5, 0]]), false);
  assert.equal(isSimple([[0, 0], [10, 0], [10, 10], [5, 0]]), false);
});

test("a mask has three to eight corners in the picture", () => {
  const corner = [500, 500];
  assert.equal(decisions.isMask([corner, corner, [0, 1000]]), true);
  for (const bad of [[corner, corner], Array(9).fill(corner), [corner, corner, [0, 1001]], [corner, corner, [0.5, 1]], [corner, corner, [1]]]) {
    assert.equal(decisions.isMask(bad), false);
  }
});
