// Each check of an assertion, as in tests/firmware/test_assertion_checks.py: one lie at a time, truly
// signed. And the one text of a key, by the vectors that the Python side makes and reads too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, b64u, join, sha256, unb64u, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import * as p256 from "../../relay/web/static/js/protocol/p256.js";
import * as passkeys from "../../relay/web/static/js/protocol/passkeys.js";
import { parseApproverCode, parseRecoveryCode } from "../../relay/web/static/js/protocol/owner_codes.js";
import { parseCodeText } from "../../relay/web/static/js/protocol/players.js";
import { checkX25519, sealTo } from "../../relay/web/static/js/protocol/sealing.js";
import { canonical } from "../../relay/web/static/js/protocol/encoding.js";
import { parsePolicy } from "../../relay/web/saved/verify/tlog.js";

const CHALLENGE = Uint8Array.from({ length: 32 }, (_, i) => i);
const RP_ID = "owner.example";
const ORIGIN = `https://${RP_ID}`;

const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
const KEY = { credential_id: "AAAA", public_key: b64u(spki), rp_id: RP_ID, origin: ORIGIN };

async function assertion({ told = {}, without = "", rpId = RP_ID, flags = 0x05, size = 37, id = "AAAA" } = {}) {
  const said = { type: "webauthn.get", challenge: b64u(CHALLENGE), origin: ORIGIN, crossOrigin: false, ...told };
  delete said[without];
  const clientData = utf8(JSON.stringify(said));
  const data = join(await sha256(utf8(rpId)), Uint8Array.of(flags), new Uint8Array(4)).subarray(0, size);
  const signed = join(data, await sha256(clientData));
  const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, signed);
  return {
    credential_id: id,
    authenticator_data: b64u(data),
    client_data_json: b64u(clientData),
    signature: b64u(p256.derSignature(new Uint8Array(raw))),
  };
}

test("a true assertion holds", async () => {
  await passkeys.checkAssertion(await assertion(), KEY, CHALLENGE);
  await passkeys.checkAssertion(await assertion({ without: "crossOrigin" }), KEY, CHALLENGE);
});

for (const [lie, said, why] of [
  ["made at registration", { told: { type: "webauthn.create" } }, /not an assertion/],
  ["without a type", { without: "type" }, /not an assertion/],
  ["for another challenge", { told: { challenge: b64u(CHALLENGE.toReversed()) } }, /something else/],
  ["on a look-alike", { told: { origin: `${ORIGIN}.evil` } }, /another page/],
  ["without TLS", { told: { origin: `http://${RP_ID}` } }, /another page/],
  ["in a frame", { told: { crossOrigin: true } }, /frame/],
  ["in a frame, as text", { told: { crossOrigin: "false" } }, /frame/],
  ["for another site", { rpId: "evil.example" }, /another site/],
  ["cut off", { size: 36 }, /too short/],
  ["that nobody touched", { flags: 0x04 }, /nobody touched/],
  ["of nobody verified", { flags: 0x01 }, /didn't verify/],
  ["by another id", { id: "BBBB" }, /another passkey/],
]) {
  test(`an assertion ${lie} is refused`, async () => {
    await assert.rejects(passkeys.checkAssertion(await assertion(said), KEY, CHALLENGE), (error) => {
      assert.ok(error instanceof WireError);
      assert.match(error.message, why);
      return true;
    });
  });
}

test("client data that is no JSON object is an error", async () => {
  const right = await assertion();
  for (const data of ["", "{", "[]", "null", '"x"']) {
    const wrong = { ...right, client_data_json: b64u(utf8(data)) };
    await assert.rejects(passkeys.checkAssertion(wrong, KEY, CHALLENGE));
  }
});

test("another key's signature is refused", async () => {
  const other = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const key = { ...KEY, public_key: b64u(new Uint8Array(await crypto.subtle.exportKey("spki", other.publicKey))) };
  await assert.rejects(passkeys.checkAssertion(await assertion(), key, CHALLENGE), /signature/);
});

const vectors = JSON.parse(readFileSync(new URL("../vectors/keys.json", import.meta.url), "utf8"));
const READERS = {
  p256: async (key) => p256.importP256(unb64u(key)),
  passkey: async (key) => passkeys.checkPasskey(unb64u(key)),
  x25519: async (key) => checkX25519(unb64u(key)),
};

for (const { kind, right, second } of vectors.keys) {
  test(`the one text of a key is taken, and no other: ${kind} ${right.slice(-6)}`, async () => {
    await READERS[kind](right);
    assert.ok(second.length > 5);
    for (const { what, text } of second) {
      await assert.rejects(READERS[kind](text), WireError, what);
    }
  });
}

test("keys are compared as keys, and an id has one text", async () => {
  const [{ right }, { right: rsa }] = vectors.keys.filter(({ kind }) => kind === "passkey");
  assert.equal(await passkeys.isSameKey(right, right), true);
  assert.equal(await passkeys.isSameKey(right, rsa), false);
  const one = { ...KEY, public_key: right };
  assert.equal(await passkeys.isSamePasskey(one, { ...one, credential_id: "BBBB" }), true);
  assert.equal(await passkeys.isSamePasskey(one, { ...one, public_key: rsa }), true);
  assert.equal(await passkeys.isSamePasskey(one, { ...one, public_key: rsa, credential_id: "BBBB" }), false);
  await assert.rejects(passkeys.isSamePasskey(one, { ...one, credential_id: "AAAB=" }), WireError);
  await assert.rejects(passkeys.isSamePasskey({ ...one, credential_id: "AA" }, { ...one, credential_id: "AB" }), WireError);
});

test("nothing is sealed to a second text", async () => {
  const { right, second } = vectors.keys.find(({ kind }) => kind === "x25519");
  await sealTo(unb64u(right), utf8("x"), utf8(""));
  const { text } = second.find(({ what }) => what === "its highest bit set");
  await assert.rejects(sealTo(unb64u(text), utf8("x"), utf8("")), WireError);
});

test("a pasted code with a second text of a key is refused", async () => {
  const code = (prefix, document) => prefix + b64u(utf8(canonical(document)));
  const p256 = vectors.keys.find(({ kind }) => kind === "p256");
  const x25519 = vectors.keys.find(({ kind }) => kind === "x25519");
  const key = { ...KEY, public_key: p256.right };
  await parseApproverCode(code("DWA1:", { name: "Laptop", key }));
  const recovery = { sealing_key: x25519.right, signing_key: p256.right };
  await parseRecoveryCode(code("DWR1:", recovery));
  const session_key = b64u(Uint8Array.of(2, ...new Uint8Array(31), 5));
  parseCodeText(code("doorward-player:", { name: "TV", session_key, viewing_key: x25519.right }));
  for (const { text } of p256.second) {
    await assert.rejects(parseApproverCode(code("DWA1:", { name: "Laptop", key: { ...key, public_key: text } })), WireError);
    await assert.rejects(parseRecoveryCode(code("DWR1:", { ...recovery, signing_key: text })), WireError);
  }
  for (const { text } of x25519.second) {
    await assert.rejects(parseRecoveryCode(code("DWR1:", { ...recovery, sealing_key: text })), WireError);
    assert.throws(() => parseCodeText(code("doorward-player:", { name: "TV", session_key, viewing_key: text })), WireError);
  }
});

test("a policy has each key once, and none of low order or in a second form", async () => {
  const { log, witness, renamed, bad } = vectors.policy;
  const policy = (...witnesses) => [
    `log ${log}`, ...witnesses.map((key, i) => `witness w${i} ${key}`), "quorum w0", "",
  ].join("\n");
  await parsePolicy(policy(witness));
  await assert.rejects(parsePolicy(policy(witness, renamed)), /there already/);
  assert.ok(bad.length > 20);
  for (const key of bad) await assert.rejects(parsePolicy(policy(key)), /one form/);
});
