/**
 * Text by others: refused where the doorbell refuses it, and never turning the words beside it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { t, useCatalog } from "../../relay/owner_app/i18n.js";
import { canonical } from "../../relay/web/static/js/protocol/encoding.js";
import { apart, isLine, isText, withoutMisleading } from "../../relay/web/static/js/protocol/plain_text.js";
import { parseRequestUnverified } from "../../relay/web/static/js/protocol/requests.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const request = JSON.parse(vectors("requests").signed.request);

test("a line and a text are what they are for the doorbell, sign for sign", () => {
  for (const { code, is_line, is_text } of vectors("encoding").plain_text) {
    const sign = String.fromCodePoint(code);
    assert.deepEqual([isLine(sign), isText(sign, 1)], [is_line, is_text], code.toString(16));
  }
  assert.deepEqual([isLine(""), isLine("x".repeat(201)), isLine("🏡".repeat(200))], [false, false, true]);
});

test("a request with signs that turn its text is refused, as the doorbell does", () => {
  parseRequestUnverified({ request: canonical(request) });
  for (const field of ["text", "reason", "danger", "officer_name", "cosigner_name", "contact"]) {
    const bent = canonical({ ...request, [field]: "14:00\u202e" });
    assert.throws(() => parseRequestUnverified({ request: bent }), /unseen|plain text/, field);
  }
});

test("an agency's name can't turn the minutes that stand beside it", () => {
  useCatalog("en", "en-GB", { asks: "{agency} ask, from {span}. {missing}" });
  const said = (agency) => t("asks", { agency, span: "14:00 – 15:00" });
  assert.equal(said("Lakeland Police"), "Lakeland Police ask, from 14:00 – 15:00. {missing}");
  assert.equal(said("Police\u202e\u2067\u2028"), "Police ask, from 14:00 – 15:00. {missing}");
  assert.equal(said("משטרה"), "\u2068משטרה\u2069 ask, from 14:00 – 15:00. {missing}");
  assert.equal(said("משטרה\u2069 5"), "\u2068משטרה 5\u2069 ask, from 14:00 – 15:00. {missing}");
});

test("what is pasted loses what can't be seen, and nothing else", () => {
  assert.equal(withoutMisleading("\u202a+46 70 123\u202c"), "+46 70 123");
  for (const name of ["شرطة دبي", "می\u200cروم", "👩\u200d🚒", "Öland"]) {
    assert.equal(withoutMisleading(name), name);
    assert.ok(isLine(name));
  }
  assert.equal(apart("Öland 5"), "Öland 5");
});
