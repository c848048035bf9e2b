/**
 * The register's rules in the saved page, where no golden package can break one alone.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { canonical, sha256Hex, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { isBlank } from "../../relay/web/static/js/protocol/plain_text.js";
import { Register, checkLimits } from "../../relay/web/saved/verify/register.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const HOUR_MS = 3_600_000;
const LIMITS = {
  ...{ min_window_ms: HOUR_MS / 4, max_window_ms: 12 * HOUR_MS, long_window_ms: 2 * HOUR_MS, max_age_ms: 720 * HOUR_MS },
  ...{ max_life_ms: 168 * HOUR_MS, area_quiet_ms: 24 * HOUR_MS, max_per_case: 2, max_open_per_officer: 5, max_cells: 12 },
};

test("a danger and a reason say something, by the doorbell's own list of blanks", () => {
  const asked = { created_ms: 12 * HOUR_MS, expires_ms: 24 * HOUR_MS, from_ms: 0, cells: ["891f0000003ffff"] };
  const [short, long] = [{ ...asked, to_ms: HOUR_MS, reason: "" }, { ...asked, to_ms: 3 * HOUR_MS, danger: "" }];
  for (const { code, is_blank } of vectors("encoding").plain_text) {
    const sign = String.fromCodePoint(code);
    assert.equal(isBlank(sign), is_blank, code.toString(16));
    for (const request of [{ ...short, danger: sign }, { ...long, reason: sign }]) {
      const check = () => checkLimits(request, LIMITS);
      if (is_blank) assert.throws(check, /what the danger is|reason must be written/, code.toString(16));
      else check();
    }
  }
  checkLimits({ ...short, danger: "" }, LIMITS);
  assert.throws(() => checkLimits({ ...long, reason: "" }, LIMITS), /reason must be written/);
});

/** Returns a charter with these keys of two administrators, which only one of them signed. */
async function charterOf(...keys) {
  const delays = { key_age_ms: 72 * HOUR_MS, agreement_age_ms: 168 * HOUR_MS, freshness_ms: HOUR_MS, slot_ms: 600_000, batch_ms: 900_000 };
  const admins = keys.map((key, place) => ({ id: `admin-${place}`, name: `Admin ${place}`, key }));
  const content = canonical({ body: { kind: "charter", is_example: false, admins, delays, limits: LIMITS } });
  const header = { v: 2, domain: "doorward/register-change/v2", kind: "charter", nonce: "a".repeat(26), origin: "town/register", follows: 0 };
  const change = canonical({ ...header, body_sha256: await sha256Hex(utf8(content)) });
  const body = { type: "change", change, signatures: [{ by: "admin-0", signature: "AA" }], content };
  return canonical({ v: 2, widenings: 0, narrowings: 0, chain: "0".repeat(64), body });
}

test("an administrator's key has one text, as every key", async () => {
  const { right, second } = vectors("keys").keys.find(({ kind }) => kind === "p256");
  const { signing_key: other } = vectors("requests").agency;
  const taken = async (key) => new Register("town/register", null).apply(await charterOf(key, other));
  await assert.rejects(taken(right), /signature of admin-0 doesn't match/);
  for (const { what, text } of second) await assert.rejects(taken(text), /one form|not a P-256|base64url|not the body of a change/, what);
});
