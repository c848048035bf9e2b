/**
 * The browser's half of signed live view, against vectors from firmware.protocol.
 */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  browserIdOf,
  browserKeysOf,
  compressed,
  newBrowserPairs,
} from "../../relay/web/static/js/protocol/browsers.js";
import {
  WireError,
  b64u,
  canonical,
  parseCanonical,
  sha256Hex,
  unb64u,
  utf8,
} from "../../relay/web/static/js/protocol/encoding.js";
import {
  AnswerRefused,
  checkAnswer,
  fingerprintsOf,
  fingerprintOfCertificate,
  signLive,
} from "../../relay/web/static/js/protocol/live.js";
import { browserWords } from "../../relay/web/static/js/protocol/pairing.js";
import { derSignature } from "../../relay/web/static/js/protocol/p256.js";
import { importSealingPair, newSealingPair } from "../../relay/web/static/js/protocol/sealing.js";
import { openThumbnail } from "../../relay/web/static/js/protocol/thumbnails.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/live.json", import.meta.url), "utf8"));
const nowMs = vectors.expires_ms - 1;
const identity = unb64u(vectors.identity_key);

/** A doorbell of one's own, to sign what the vectors don't hold. */
async function forger() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.generateKey(algorithm, true, ["sign"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", key.publicKey));
  const sign = async (document) => {
    const text = canonical(document);
    const hash = { name: "ECDSA", hash: "SHA-256" };
    const data = utf8(`doorward/live-answer/v1\0${text}`);
    const raw = new Uint8Array(await crypto.subtle.sign(hash, key.privateKey, data));
    return { text, signature: b64u(derSignature(raw)) };
  };
  return { spki, sign };
}

const refusedFor = (reason) => (error) => error instanceof AnswerRefused && error.reason === reason;

test("a browser's id and words are the doorbell's", async () => {
  const { keys, id, device, words, point } = vectors.browser;
  assert.equal(b64u(compressed(unb64u(point))), keys.session_key);
  assert.equal(await browserIdOf(keys), id);
  assert.deepEqual(await browserWords(device, keys), words);
  const other = { ...keys, name: "Another" };
  assert.notDeepEqual(await browserWords(device, other), words);
});

test("a browser's private keys can't be read out", async () => {
  const pairs = await newBrowserPairs();
  assert.equal(pairs.session.privateKey.extractable, false);
  assert.equal(pairs.viewing.privateKey.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", pairs.session.privateKey));
  const keys = await browserKeysOf("Firefox on Linux", pairs);
  assert.equal(unb64u(keys.session_key).length, 33);
  assert.equal(unb64u(keys.viewing_key).length, 32);
});

test("what a browser signs has the doorbell's canonical text, and its signature holds", async () => {
  const pairs = await newBrowserPairs();
  const offer = vectors.offer_document;
  const signed = await signLive(offer, pairs.session.privateKey);
  assert.equal(signed.text, vectors.offer.text);
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", pairs.session.publicKey));
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const holds = (data) => verify("sha256", data, { key, dsaEncoding: "der" }, unb64u(signed.signature));
  assert.equal(holds(utf8(`doorward/live-offer/v1\0${signed.text}`)), true);
  assert.equal(holds(utf8(signed.text)), false);
});

test("takes the doorbell's answer to this offer", async () => {
  const answer = await checkAnswer(vectors.answer, identity, { offer: vectors.offer, nowMs });
  assert.equal(answer.lasts_s, 600);
  assert.deepEqual(fingerprintsOf(answer.sdp), vectors.fingerprints);
});

test("refuses an answer that another key signed, or of which a byte was changed", async () => {
  const { spki } = await forger();
  const asked = { offer: vectors.offer, nowMs };
  await assert.rejects(checkAnswer(vectors.answer, spki, asked), refusedFor("signature"));
  for (const position of [10, 200, vectors.answer.text.length - 10]) {
    const altered = vectors.answer.text.split("");
    altered[position] = altered[position] === "a" ? "b" : "a";
    const signed = { ...vectors.answer, text: altered.join("") };
    await assert.rejects(checkAnswer(signed, identity, asked), refusedFor("signature"));
  }
});

test("refuses an answer to another offer, and one whose time is over", async () => {
  const late = { offer: vectors.offer, nowMs: vectors.expires_ms };
  await assert.rejects(checkAnswer(vectors.answer, identity, late), refusedFor("expired"));
  const others = [{ session_id: "c".repeat(26) }, { nonce: "c".repeat(26) }, { purpose: "clips" }];
  for (const change of others) {
    const text = canonical({ ...vectors.offer_document, ...change });
    const asked = { offer: { ...vectors.offer, text }, nowMs };
    await assert.rejects(checkAnswer(vectors.answer, identity, asked), refusedFor("another"));
  }
});

test("refuses an answer that names other certificates than each side's SDP", async () => {
  const { spki, sign } = await forger();
  const answer = parseCanonical(vectors.answer.text);
  const asked = { offer: vectors.offer, nowMs };
  await checkAnswer(await sign(answer), spki, asked);
  const foreign = [`sha-256 ${Array(32).fill("00").join(":")}`];
  for (const change of [
    { offer_fingerprints: foreign },
    { answer_fingerprints: foreign },
    { answer_fingerprints: [...answer.answer_fingerprints, ...foreign] },
    { offer_fingerprints: [] },
    { answer_fingerprints: "sha-256" },
  ]) {
    const signed = await sign({ ...answer, ...change });
    await assert.rejects(checkAnswer(signed, spki, asked), refusedFor("fingerprint"), canonical(change));
  }
});

test("refuses a signed answer with a field too many or too few, and one not in canonical form", async () => {
  const { spki, sign } = await forger();
  const answer = parseCanonical(vectors.answer.text);
  const asked = { offer: vectors.offer, nowMs };
  const { lasts_s: _, ...less } = answer;
  for (const document of [less, { ...answer, extra: 1 }, { ...answer, domain: "doorward/clip/v1" }]) {
    await assert.rejects(checkAnswer(await sign(document), spki, asked), WireError);
  }
});

test("reads fingerprints in one form, and refuses an SDP without one or with a false one", () => {
  for (const sdp of ["v=0\r\n", "a=fingerprint:sha-256\r\n", "a=fingerprint:sha-256 zz\r\n"]) {
    assert.throws(() => fingerprintsOf(sdp), WireError, sdp);
  }
});

test("a certificate's fingerprint is written as in an SDP", async () => {
  const der = new Uint8Array([1, 2, 3]);
  const written = await fingerprintOfCertificate(der);
  assert.equal(written.replace("sha-256 ", "").replaceAll(":", "").toLowerCase(), await sha256Hex(der));
  assert.deepEqual(fingerprintsOf(`a=fingerprint:${written}\r\n`), [written]);
});

test("opens the picture of an event that was sealed to this browser", async () => {
  const { private_key, public_key, jpeg, picture, key } = vectors.thumbnail;
  const pair = await importSealingPair(unb64u(private_key), unb64u(public_key));
  const opened = await openThumbnail(picture, key, pair, identity);
  assert.equal(b64u(opened.jpeg), jpeg);
  assert.equal(opened.facts.age_ms, 40);
});

test("refuses a picture that is another browser's, another doorbell's, or altered", async () => {
  const { private_key, public_key, picture, key } = vectors.thumbnail;
  const pair = await importSealingPair(unb64u(private_key), unb64u(public_key));
  await assert.rejects(openThumbnail(picture, key, await newSealingPair(), identity), WireError);
  const { spki } = await forger();
  await assert.rejects(openThumbnail(picture, key, pair, spki), WireError);
  const raw = unb64u(picture);
  for (const position of [0, 100, raw.length - 1]) {
    const altered = raw.slice();
    altered[position] ^= 1;
    await assert.rejects(openThumbnail(b64u(altered), key, pair, identity), WireError);
  }
});
