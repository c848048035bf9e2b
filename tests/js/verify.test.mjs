/**
 * Evidence in the browser: the same checks as `doorward-verify`, on the same golden packages.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { unb64u, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { openPackage } from "../../relay/web/static/js/protocol/packages.js";
import { CODE } from "../../relay/web/static/js/verify/checks.js";
import { checkAgreement } from "../../relay/web/static/js/verify/logs.js";
import { checkEvidence } from "../../relay/web/static/js/verify/report.js";
import { parsePolicy } from "../../relay/web/static/js/verify/tlog.js";

const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../vectors/packages/${name}.json`, import.meta.url), "utf8"));
const CASES = vectors("cases");
const PACKAGE = vectors("package");
const GIVEN = vectors("given");
const ALL = ["agency", "policy", "fleet_ca"];

function filesOf({ own, changes }) {
  const encoded = own?.files ?? PACKAGE.files;
  const files = new Map(Object.entries(encoded).map(([name, data]) => [name, unb64u(data)]));
  for (const [name, change] of Object.entries(changes)) {
    const old = files.get(name) ?? new Uint8Array();
    files.delete(name);
    if (change === null) continue;
    const end = old.subarray(old.length - change.last);
    const parts = [old.subarray(0, change.first), unb64u(change.bytes), end];
    files.set(name, new Uint8Array(Buffer.concat(parts)));
  }
  return files;
}

async function givenOf({ own, given }) {
  const { agreement, policy, fleet_ca } = own?.given ?? GIVEN;
  const { agency, signing_key } = await checkAgreement(agreement);
  return {
    agency: given.includes("agency") ? { id: agency, signing_key } : null,
    policy: given.includes("policy") ? await parsePolicy(policy) : null,
    fleetCa: given.includes("fleet_ca") ? fleet_ca : null,
  };
}

for (const golden of CASES) {
  test(`says of "${golden.name}" what is written down`, async () => {
    const evidence = { files: filesOf(golden), header: null };
    const report = await checkEvidence(evidence, await givenOf(golden));
    const told = report.checks.map(({ kind, result }) => [kind, result]);
    const why = JSON.stringify(report.checks.map(({ what, result, detail }) => [what, result, detail]));
    assert.deepEqual(told, golden.checks, why);
    assert.equal(report.code, golden.code);
    assert.equal(report.example, golden.example);
  });
}

async function opened(sealed) {
  const { sealing_private_key, sealing_public_key } = GIVEN.key;
  return openPackage(sealed, unb64u(sealing_private_key), unb64u(sealing_public_key));
}

test("the golden package opens into the golden files, and all holds", async () => {
  const evidence = await opened(unb64u(PACKAGE.sealed));
  assert.deepEqual([...evidence.files.keys()].sort(), Object.keys(PACKAGE.files).sort());
  const report = await checkEvidence(evidence, await givenOf({ given: ALL }));
  assert.equal(report.code, CODE.HOLDS);
  assert.equal(report.recordings.length, 1);
});

test("a flipped bit anywhere in the sealed package is found", async () => {
  const sealed = unb64u(PACKAGE.sealed);
  for (let at = 0; at < sealed.length; at += 997) {
    const altered = sealed.slice();
    altered[at] ^= 4;
    await assert.rejects(opened(altered), `byte ${at}`);
  }
});

test("a flipped bit anywhere in the opened files is found", async () => {
  const given = await givenOf({ given: ALL });
  for (const [name, data] of filesOf({ changes: {} })) {
    const step = Math.ceil(data.length / 12);
    for (let at = 0; at < data.length; at += step) {
      const files = filesOf({ changes: {} });
      const altered = data.slice();
      altered[at] ^= 1 << (at % 8);
      files.set(name, altered);
      const { code } = await checkEvidence({ files, header: null }, given);
      assert.ok(code >= CODE.UNREADABLE, `${name}, byte ${at}`);
    }
  }
});

test("a recording of which a check fails isn't told of", async () => {
  const files = filesOf({ changes: {} });
  files.set("clip-1.mp4", utf8("no clip"));
  const report = await checkEvidence({ files, header: null }, await givenOf({ given: ALL }));
  assert.deepEqual(report.recordings, []);
});
