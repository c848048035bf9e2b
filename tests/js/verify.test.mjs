/**
 * Evidence in the browser: the same checks as `doorward-verify`, on the same golden packages.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { WireError, canonical, unb64u, utf8 } from "../../relay/web/static/js/protocol/encoding.js";
import { contentFiles, openPackage } from "../../relay/web/saved/packages.js";
import { CODE, inWords, run } from "../../relay/web/saved/verify/checks.js";
import { checkAgreement } from "../../relay/web/saved/verify/register.js";
import { readRegister } from "../../relay/web/saved/verify/register_file.js";
import { evidenceOf, isPartOfEvidence, readDocuments } from "../../relay/web/saved/verify/document_reader.js";
import { partOf } from "../../relay/web/saved/verify/recordings.js";
import { checkEvidence } from "../../relay/web/saved/verify/report.js";
import { parsePolicy } from "../../relay/web/saved/verify/tlog.js";

const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../vectors/packages/${name}.json`, import.meta.url), "utf8"));
const CASES = vectors("cases");
const PACKAGE = vectors("package");
const GIVEN = vectors("given");
const LIMITS = vectors("limits");
const SWEDISH = JSON.parse(readFileSync(new URL("../../relay/web/saved/details.sv.json", import.meta.url), "utf8"));
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

async function givenOf({ own, given, register }) {
  const { agreement, policy, fleet_ca } = own?.given ?? GIVEN;
  const { agency, signing_key } = await checkAgreement(agreement);
  return {
    agency: given.includes("agency") ? { id: agency, signing_key } : null,
    policy: given.includes("policy") ? await parsePolicy(policy) : null,
    fleetCa: given.includes("fleet_ca") ? fleet_ca : null,
    register: register === undefined ? null : await readRegister(new Blob([unb64u(register)])),
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
  const { files, header } = await openPackage(
    new Blob([sealed]), unb64u(sealing_private_key), unb64u(sealing_public_key));
  return evidenceOf(await readDocuments(files), header);
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

test("a recording tells the date that was signed, or none", async () => {
  const given = await givenOf({ given: ALL });
  const files = filesOf({ changes: {} });
  const { started_ms } = JSON.parse(JSON.parse(Buffer.from(files.get("manifest-1.json")).toString()).manifest);
  const clip = files.get("clip-1.mp4").slice();
  for (const kind of ["mvhd", "tkhd", "mdhd"]) {
    for (let at = Buffer.from(clip).indexOf(kind); at >= 0; at = Buffer.from(clip).indexOf(kind, at + 1)) {
      new DataView(clip.buffer).setUint32(at + 8, Math.floor(started_ms / 1000) + 2_082_844_800);
    }
  }
  files.set("clip-1.mp4", clip);
  const { checks } = await checkEvidence({ files, header: null }, given);
  assert.equal(checks.find(({ what }) => what === "footage").result, "holds");
});

test("a recording that a player would be told another date of is found", async () => {
  const given = await givenOf({ given: ALL });
  for (const [kind, at] of [["mvhd", 8], ["mvhd", 12], ["tkhd", 8], ["mdhd", 8]]) {
    const files = filesOf({ changes: {} });
    const clip = files.get("clip-1.mp4").slice();
    new DataView(clip.buffer).setUint32(Buffer.from(clip).indexOf(kind) + at, 3_000_000_000);
    files.set("clip-1.mp4", clip);
    const { checks } = await checkEvidence({ files, header: null }, given);
    const { detail } = checks.find(({ what }) => what === "footage");
    assert.equal(inWords(detail, {}), "the clip says that it was made at another time than was signed");
  }
});

test("files in a package are named as the doorbell names them", () => {
  for (const [name, isName, isPart] of LIMITS.names) {
    const list = () => contentFiles([{ name, size_bytes: 1, sha256: "0".repeat(64) }]);
    if (isName) assert.equal(list()[0].name, name);
    else assert.throws(list, WireError, JSON.stringify(name));
    assert.equal(isPartOfEvidence(name), isPart, JSON.stringify(name));
  }
});

test("a package has as many files as a doorbell packs, and each has its size and digest", () => {
  const entry = { name: "clip-1.mp4", size_bytes: 0, sha256: "0".repeat(64) };
  assert.equal(contentFiles(Array(LIMITS.most_files).fill(entry)).length, LIMITS.most_files);
  const wrong = [{ size_bytes: -1 }, { size_bytes: "1" }, { size_bytes: 2 ** 41 }, { sha256: "00" }, { name: ["clip-1.mp4"] }];
  const lists = [Array(LIMITS.most_files + 1).fill(entry), [], {}, undefined, [null], ...wrong.map((change) => [{ ...entry, ...change }])];
  for (const list of lists) assert.throws(() => contentFiles(list), WireError, JSON.stringify(list)?.slice(0, 99));
});

test("of C2PA only what a doorbell can say is taken", () => {
  for (const [provenance, isTaken] of LIMITS.provenance) {
    const part = utf8(canonical({ v: 1, provenance, corrected_ms: 0 }));
    const read = () => partOf(new Map([["part-1.json", part]]), 1);
    if (isTaken) assert.equal(read().provenance, provenance);
    else assert.throws(read, WireError, JSON.stringify(provenance));
  }
});

test("words that aren't ours are told as they are, in every language", async () => {
  // Seen to fail, each in its way, while such words were themselves the text that is looked up.
  for (const words of ["toString", "__proto__", "it has sound, which the owner didn't give", "{said}", "{toString}"]) {
    const { detail } = await run(CODE.DEVICE, "device", async () => words);
    assert.equal(inWords(detail, SWEDISH), words);
    assert.equal(inWords(detail, {}), words);
  }
});

test("what a doorbell says of C2PA is quoted, so that it passes for no check's word", async () => {
  const named = CASES.find(({ name }) => name === "no library for C2PA");
  const { checks } = await checkEvidence({ files: filesOf(named), header: null }, await givenOf(named));
  const { detail } = checks.find(({ what }) => what === "provenance");
  assert.match(inWords(detail, {}), /^none, says the doorbell: “the C2PA library .*”$/);
  assert.match(inWords(detail, SWEDISH), /^inget, enligt dörrklockan: ”the C2PA library .*”$/);
});

test("what is no part of evidence isn't looked at, and a package that holds it fails", async () => {
  const files = filesOf({ changes: {} });
  files.set("report.pdf.exe", utf8("MZ"));
  const found = evidenceOf(files);
  assert.deepEqual(found.beside, ["report.pdf.exe"]);
  assert.ok(!found.files.has("report.pdf.exe"));
  const given = await givenOf({ given: ALL });
  assert.equal((await checkEvidence(found, given)).code, CODE.HOLDS);
  const { header } = await opened(unb64u(PACKAGE.sealed));
  assert.equal((await checkEvidence(evidenceOf(files, header), given)).code, CODE.PACKAGE);
});
