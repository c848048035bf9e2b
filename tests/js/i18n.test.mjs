/** Dates as the owner's app writes them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { numberText, timeText, useCatalog } from "../../relay/owner_app/i18n.js";

const DAY_MS = 24 * 3600 * 1000;

test("a day that is more than half a year away is written with its year", () => {
  const words = JSON.parse(readFileSync(new URL("../../relay/owner_app/locales/en.json", import.meta.url), "utf8"));
  useCatalog("en", "en-GB", words);
  const now = Date.now();
  for (const days of [-400, -200, 200, 365]) {
    const at = now + days * DAY_MS;
    assert.match(timeText(at, "day"), new RegExp(String(new Date(at).getFullYear())), `${days} days`);
  }
  for (const days of [-100, 2, 30, 100]) assert.doesNotMatch(timeText(now + days * DAY_MS, "day"), /\d{4}/, `${days} days`);
});

test("a number has the decimal sign of its language", () => {
  useCatalog("sv", "sv-SE", {});
  assert.equal(numberText(0.4), "0,4");
  useCatalog("en", "en-GB", {});
  assert.equal(numberText(0.4), "0.4");
});
