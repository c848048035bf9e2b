/** An owner's Wi-Fi code in the browser, against golden vectors from firmware.protocol. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/js/protocol/", import.meta.url);
const use = (name) => import(new URL(name, home).href);
const vectors = JSON.parse(readFileSync(new URL("../vectors/wifi.json", import.meta.url), "utf8"));

const { hex, unb64u, utf8 } = await use("encoding.js");
const { importSealingPair, openSealed } = await use("sealing.js");
const { sealWifi, wifiCode, wifiDocument, wifiPlain, wifiProblem } = await use("wifi.js");

test("what is sealed is the doorbell's form, byte for byte", async () => {
  for (const { wish, id, expires_ms, hex: expected } of vectors.plain) {
    assert.equal(hex(await wifiPlain(wish, expires_ms, unb64u(id))), expected);
  }
});

test("a code is the doorbell's, whatever else the browser says of itself", async () => {
  for (const { sealed, document, assertion, text } of vectors.codes) {
    const bytes = unb64u(sealed);
    assert.equal(wifiDocument(vectors.device, bytes), document);
    assert.equal(await wifiCode(vectors.device, bytes, assertion, vectors.passkey.origin), text);
  }
});

test("a network is sealed to one doorbell, in one size whatever it is called", async () => {
  const sizes = new Set();
  for (const { wish } of vectors.plain) {
    const to = { device: vectors.device, sealingKey: vectors.sealing_key, expiresMs: 1_790_000_000_999 };
    const sealed = await sealWifi(wish, to);
    const pair = await importSealingPair(unb64u(vectors.sealing_private_key), unb64u(vectors.sealing_key));
    const plain = await openSealed(pair, sealed, utf8(`doorward/sealed-wifi/v1\0${vectors.device}`));
    assert.equal(hex(plain).slice(32), hex(await wifiPlain(wish, to.expiresMs, plain.subarray(0, 16))).slice(32));
    await assert.rejects(openSealed(pair, sealed, utf8("doorward/sealed-wifi/v1\0another")));
    sizes.add(sealed.length);
  }
  assert.deepEqual([...sizes], [168]);
});

test("says what is wrong with a network before anything is signed", () => {
  const good = { ssid: "Home", password: "password", security: "wpa2", country: "SE", isHidden: false };
  assert.equal(wifiProblem(good), null);
  assert.equal(wifiProblem({ ...good, password: "0f".repeat(32) }), null);
  assert.equal(wifiProblem({ ...good, ssid: "" }), "ssid");
  assert.equal(wifiProblem({ ...good, ssid: "ö".repeat(17) }), "ssid");
  assert.equal(wifiProblem({ ...good, password: "" }), "no_password");
  assert.equal(wifiProblem({ ...good, password: "short" }), "password");
  assert.equal(wifiProblem({ ...good, security: "wpa3", password: "0f".repeat(32) }), "password");
  assert.equal(wifiProblem({ ...good, country: "se" }), "country");
});
