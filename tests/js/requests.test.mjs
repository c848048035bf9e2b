/**
 * Requests of two officers, against the vectors that the doorbell's code is held against, too.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/js/protocol/", import.meta.url);
const use = (name) => import(new URL(name, home).href);
const vectors = JSON.parse(
  readFileSync(new URL("../vectors/requests.json", import.meta.url), "utf8"),
);

const { checkRequest, parseRequestUnverified, requestDigest, withdrawalText } = await use("requests.js");
const { outcomeText } = await use("outcomes.js");
const { verifyPasskey } = await use("passkeys.js");
const { WireError, canonical, parseCanonical, unb64u } = await use("encoding.js");
const { agency, signed, digest, forms, held, refused } = vectors;

test("a request of two officers holds, and not if it is altered", async () => {
  const request = await checkRequest(signed, agency);
  assert.deepEqual([request.officer_name, request.cosigner_name], ["Sgt. Öberg", "Insp. Dahl"]);
  assert.equal(await requestDigest(signed), digest);
  const altered = { ...signed, request: signed.request.replace("burglary", "theft") };
  await assert.rejects(checkRequest(altered, agency), WireError);
  await assert.rejects(checkRequest(signed, { ...agency, id: "elsewhere" }), WireError);
});

test("a request says what one may, as the doorbell has it", () => {
  // A page that showed more than `doorward-verify` takes would say that it holds.
  for (const [field, value, isTaken] of forms) {
    const document = JSON.parse(signed.request);
    Object.defineProperty(document, field, { value, enumerable: true });
    const read = () => parseRequestUnverified({ request: canonical(document) });
    if (isTaken) read();
    else assert.throws(read, WireError, `${field}: ${JSON.stringify(value)}`);
  }
});

for (const [name, one] of Object.entries(held)) {
  test(`holds: ${name}`, () => checkRequest(one, agency));
}

for (const [name, one] of Object.entries(refused)) {
  test(`is refused: ${name}`, () => assert.rejects(checkRequest(one, agency), WireError));
}

test("a key that is none is no passkey", async () => {
  await assert.rejects(verifyPasskey(unb64u("AAAA"), unb64u("AAAA"), unb64u("AAAA")), WireError);
});

test("a withdrawal is canonical", () => {
  const what = { request_digest: digest, agency: "lakeland", officer_id: "a".repeat(26) };
  const withdrawal = parseCanonical(withdrawalText(what));
  assert.deepEqual(withdrawal, { v: 1, domain: "doorward/request-withdrawal/v1", ...what });
});

test("an outcome is canonical, and what the relay parses", () => {
  const what = { request_digest: digest, agency: "lakeland", officer_id: "a".repeat(26), outcome: "not_used", is_resolved: true };
  const written = outcomeText(/** @type {any} */ (what));
  assert.deepEqual(parseCanonical(written), { v: 1, domain: "doorward/outcome/v1", ...what });
  assert.equal(written, vectors.outcome);
});
