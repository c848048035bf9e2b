/**
 * A relay that names a passkey of its own for the owner's: the owner's app doesn't sign in with it,
 * so it never stands in the code that a doorbell reads.
 */
import assert from "node:assert/strict";
import test from "node:test";

import { NotOwnPasskey, ownerOfMade, ownerOfUsed } from "../../relay/owner_app/own_passkey.js";
import { b64u, join, sha256, utf8 } from "../../relay/owner_app/vendor/protocol/encoding.js";
import { challenge } from "../../relay/owner_app/vendor/protocol/passkeys.js";
import { derSignature } from "../../relay/owner_app/vendor/protocol/p256.js";

const ES256 = { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" };
const ORIGIN = "https://door.test";
const RP_ID = "door.test";
const GIVEN = b64u(new Uint8Array(32).fill(7));
globalThis.location = { origin: ORIGIN };

/** Somebody's passkey, and what an honest relay says of its owner. */
async function newPasskey() {
  const pair = await crypto.subtle.generateKey(ES256, true, ["sign", "verify"]);
  const public_key = b64u(new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)));
  const owner = { name: "Ada", credential_id: "Y3JlZA", public_key, rp_id: RP_ID, origin: ORIGIN };
  return { pair, owner };
}

async function login({ pair }, { given = GIVEN, tag = "doorward/login/v1" } = {}) {
  const client = utf8(
    JSON.stringify({ type: "webauthn.get", challenge: b64u(await challenge(tag, given)), origin: ORIGIN }),
  );
  const data = join(await sha256(utf8(RP_ID)), Uint8Array.of(5, 0, 0, 0, 1));
  const signed = join(data, await sha256(client));
  const raw = new Uint8Array(await crypto.subtle.sign(ES256, pair.privateKey, signed));
  const response = {
    clientDataJSON: b64u(client),
    authenticatorData: b64u(data),
    signature: b64u(derSignature(raw)),
  };
  return { id: "Y3JlZA", response };
}

const made = ({ owner }) => ({ id: owner.credential_id, response: { publicKey: owner.public_key } });

test("an honest relay's owner is taken as they are", async () => {
  const ada = await newPasskey();
  assert.equal(ownerOfMade(ada.owner, made(ada), RP_ID), ada.owner);
  assert.equal(await ownerOfUsed(ada.owner, await login(ada), GIVEN), ada.owner);
});

test("another public key isn't taken, whether the passkey was made or used", async () => {
  const [ada, mallory] = [await newPasskey(), await newPasskey()];
  assert.throws(() => ownerOfMade(mallory.owner, made(ada), RP_ID), NotOwnPasskey);
  await assert.rejects(ownerOfUsed(mallory.owner, await login(ada), GIVEN), NotOwnPasskey);
});

test("a browser that can't name the key that it made signs nobody in", async () => {
  const ada = await newPasskey();
  const credential = { ...made(ada), response: { publicKey: "" } };
  assert.throws(() => ownerOfMade(ada.owner, credential, RP_ID), NotOwnPasskey);
});

for (const change of [{ credential_id: "b3RoZXI" }, { rp_id: "evil.test" }, { origin: "https://evil.test" }]) {
  test(`another ${Object.keys(change)[0]} isn't taken`, async () => {
    const ada = await newPasskey();
    const told = { ...ada.owner, ...change };
    assert.throws(() => ownerOfMade(told, made(ada), RP_ID), NotOwnPasskey);
    await assert.rejects(ownerOfUsed(told, await login(ada), GIVEN), NotOwnPasskey);
  });
}

test("what was signed for something else is no login", async () => {
  const ada = await newPasskey();
  const other = b64u(new Uint8Array(32));
  await assert.rejects(ownerOfUsed(ada.owner, await login(ada, { given: other }), GIVEN), NotOwnPasskey);
  const statement = await login(ada, { tag: "doorward/statement/v1" });
  await assert.rejects(ownerOfUsed(ada.owner, statement, GIVEN), NotOwnPasskey);
});
