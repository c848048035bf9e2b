/** What an owner reads of a request: the same lines in the app and in the officer's preview. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const home = new URL("../../relay/web/static/js/protocol/", import.meta.url);
const { letterAsks, letterTerms, letterTitle } = await import(new URL("letter.js", home).href);
const { signed } = JSON.parse(readFileSync(new URL("../vectors/requests.json", import.meta.url), "utf8"));
const request = { ...JSON.parse(signed.request), reason: "", danger: "" };
const t = (key, values = {}) => [key, ...Object.values(values)].join(" ");

/** Seen by an owner elsewhere: who asks in the title, where by the doorbell itself, from when to when in `asks`. */
const ELSEWHERE = ["v", "domain", "id", "agency", "officer_id", "cosigner_id", "cells", "from_ms", "to_ms", "created_ms", "text", "danger"];

test("every line of a request that an owner could weigh is in the letter", () => {
  const long = { ...request, reason: "Nobody saw when." };
  const said = letterTerms(long, "until then", t).map(([, text]) => text);
  for (const [name, value] of Object.entries(long)) {
    if (ELSEWHERE.includes(name)) continue;
    const isSaid = said.some((text) => text.includes(name === "expires_ms" ? "until then" : String(value)));
    assert.ok(isSaid, name);
  }
});

test("a line is left out only where it would be empty", () => {
  const keys = (one) => letterTerms(one, "", t).map(([key]) => key);
  assert.deepEqual(
    keys({ ...request, reason: "why" }).filter((key) => !keys(request).includes(key)),
    ["release.reason"],
  );
});

test("an emergency says so in its title", () => {
  assert.equal(letterTitle(request, "Lakeland", t), "release.title Lakeland");
  assert.equal(letterTitle({ danger: "A child." }, "Lakeland", t), "release.title_emergency Lakeland");
  assert.equal(letterAsks("Lakeland", "from to", t), "release.asks Lakeland from to");
});
