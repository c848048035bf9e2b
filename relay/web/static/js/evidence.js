/**
 * Evidence: fetched sealed, opened with the agency's key file in this page, checked, shown.
 *
 * The key file is read here and goes nowhere. Each check is a row of the table, in words.
 * @module
 */
import { guarded, pageData, post, say, t, Refused } from "./page.js";
import { identityKeyOf } from "./protocol/certificate.js";
import {
  WireError,
  b64u,
  canonical,
  deviceIdOf,
  parseCanonical,
  sha256Hex,
  text,
  unb64u,
  utf8,
} from "./protocol/encoding.js";
import { factsOf } from "./manifest_facts.js";
import { checkManifest, isSameFootage, isSameSound } from "./protocol/footage.js";
import { STATEMENT_TAG } from "./protocol/grants.js";
import { accessUnits, soundUnits } from "./protocol/mp4.js";
import { openPackage } from "./protocol/packages.js";
import { challenge } from "./protocol/passkeys.js";
import { checkRequest, requestDigest } from "./protocol/requests.js";

/** @typedef {import("./protocol/encoding.js").Bytes} Bytes */
/** @typedef {import("./protocol/documents.js").GrantTerms} GrantTerms */
/** @typedef {import("./protocol/documents.js").SignedManifest} SignedManifest */
/** @typedef {import("./protocol/documents.js").SignedRequest} SignedRequest */
/** @typedef {import("./protocol/documents.js").SignedStatement} SignedStatement */
/** @typedef {import("./protocol/documents.js").Statement} Statement */
/** @typedef {Awaited<ReturnType<typeof openPackage>>} Opened */
/** @typedef {import("./protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {{name: string, mp4: Bytes, manifest: SignedManifest, checked: ClipManifest | null, has_sound: boolean}} ReleasedClip */
/** @typedef {{text: string, holds: boolean, why: string}} Check */

const MAX_CLIPS = 16;
const section = /** @type {HTMLElement} */ (document.getElementById("evidence"));
const open = /** @type {HTMLButtonElement} */ (document.getElementById("open"));

open.addEventListener("click", () =>
  guarded(open, async () => {
    const key = await readKeyFile();
    say(t("downloading"));
    const sealed = await fetchPackage();
    say(t("opening"));
    const opened = await openPackage(sealed, key.privateKey, key.publicKey);
    const clips = clipsOf(opened);
    const checks = await checkAll(opened, clips);
    show(opened, clips, checks);
    const holds = checks.every((check) => check.holds);
    say(t(holds ? "opened" : "check.fails"), { isBad: !holds });
  }),
);

open.disabled = false; // the page draws it disabled, so that no click comes before this module

async function readKeyFile() {
  const input = /** @type {HTMLInputElement} */ (document.getElementById("key-file"));
  const file = input.files?.[0];
  if (file === undefined) throw new Refused(t("no_key_file"));
  try {
    const key = JSON.parse(await file.text());
    const privateKey = unb64u(key.sealing_private_key);
    return { privateKey, publicKey: unb64u(key.sealing_public_key) };
  } catch {
    throw new Refused(t("bad_key_file"));
  }
}

/** @returns {Promise<Bytes>} */
async function fetchPackage() {
  const { url } = await post(`/agency/evidence/${section.dataset.package}/download`);
  const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
  if (!response.ok) throw new Refused(t("failed", { message: `${response.status}` }));
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Fills in `checked` of each clip of which all holds, and whether it came with its sound.
 * @param {Opened} opened @param {ReleasedClip[]} clips
 * @returns {Promise<Check[]>}
 */
async function checkAll(opened, clips) {
  const checks = [
    await check(t("check.seal"), async () => {
      const { header } = opened;
      must(header.package_id === section.dataset.package, "another package");
      must(header.agency === pageData("agency-document").id, "another agency");
    }),
    await check(t("check.request"), () => checkRequestInside(opened)),
    await check(t("check.grant"), () => checkGrant(opened, clips)),
  ];
  for (const [index, clip] of clips.entries()) {
    const name = clips.length > 1 ? `${t("clip", { number: index + 1 })}: ` : "";
    const signature = await check(name + t("check.manifest"), () => checkSignature(opened, clip));
    const footage = await check(name + t("check.footage"), () => checkPictures(opened, clip));
    const sound = await check(name + t("check.sound"), () => checkSound(opened, clip));
    const rows = [signature, footage, sound];
    checks.push(...rows);
    if (rows.every((row) => row.holds)) clip.checked = parseCanonical(clip.manifest.manifest);
  }
  return checks;
}

/** @param {string} text @param {() => Promise<void>} action @returns {Promise<Check>} */
async function check(text, action) {
  try {
    await action();
    return { text, holds: true, why: "" };
  } catch (error) {
    console.warn(text, error);
    return { text, holds: false, why: error instanceof Error ? error.message : String(error) };
  }
}

/** @param {boolean} condition @param {string} otherwise */
function must(condition, otherwise) {
  if (!condition) throw new WireError(otherwise);
}

/**
 * The request inside is the published one, signed by an officer of this agency.
 * @param {Opened} opened
 */
async function checkRequestInside(opened) {
  const inside = /** @type {SignedRequest} */ (parseCanonical(fileText(opened, "request.json")));
  must(canonical(inside) === canonical(pageData("request-signed")), "another request is inside");
  await checkRequest(inside, pageData("agency-document"));
}

/**
 * The signed grant names this request, this agency and exactly these clips.
 * @param {Opened} opened
 * @param {ReleasedClip[]} clips
 */
async function checkGrant(opened, clips) {
  const signed = /** @type {SignedStatement} */ (parseCanonical(fileText(opened, "grant.json")));
  const digest = await sha256Hex(utf8(signed.statement));
  must(digest === opened.header.grant_digest, "sealed under another grant");
  const statement = /** @type {Statement} */ (parseCanonical(signed.statement));
  must(statement.device === opened.header.device, "signed for another doorbell");
  const terms = /** @type {GrantTerms} */ (statement.terms);
  must(terms.request_digest === (await requestDigest(pageData("request-signed"))), "another request");
  must(terms.recipient.agency === opened.header.agency, "given to another agency");
  const given = terms.clips.map((clip) => clip.manifest_digest);
  const inside = await Promise.all(clips.map((clip) => sha256Hex(utf8(clip.manifest.manifest))));
  must(canonical(given) === canonical(inside), "other clips than were given");
  const clientData = JSON.parse(text(unb64u(signed.assertion.client_data_json)));
  const expected = b64u(await challenge(STATEMENT_TAG, signed.statement));
  must(clientData.type === "webauthn.get" && clientData.challenge === expected, "signs something else");
}

/** @param {Opened} opened @param {ReleasedClip} clip */
async function checkSignature(opened, clip) {
  const spki = identityKeyOf(fileText(opened, "device.pem"));
  must((await deviceIdOf(spki)) === opened.header.device, "another doorbell's certificate");
  const manifest = await checkManifest(clip.manifest, spki);
  must(manifest.device === opened.header.device, "recorded by another doorbell");
}

/** @param {Opened} opened @param {ReleasedClip} clip */
async function checkPictures(opened, clip) {
  const manifest = await checkManifest(clip.manifest, identityKeyOf(fileText(opened, "device.pem")));
  must(await isSameFootage(accessUnits(clip.mp4), manifest), "the pictures aren't the signed ones");
}

/**
 * There is sound only if the owner gave it, and then it is the signed one.
 * @param {Opened} opened @param {ReleasedClip} clip
 */
async function checkSound(opened, clip) {
  const manifest = await checkManifest(clip.manifest, identityKeyOf(fileText(opened, "device.pem")));
  const units = soundUnits(clip.mp4);
  const { has_audio } = grantOf(opened);
  if (units === null) {
    must(manifest.sound === undefined || !has_audio, "its sound was given, and is missing");
    return;
  }
  must(has_audio, "it has sound, which the owner didn't give");
  must(await isSameSound(units, manifest), "the sound isn't the signed one");
  clip.has_sound = true;
}

/** @param {Opened} opened @returns {GrantTerms} */
function grantOf(opened) {
  const signed = /** @type {SignedStatement} */ (parseCanonical(fileText(opened, "grant.json")));
  const statement = /** @type {Statement} */ (parseCanonical(signed.statement));
  return /** @type {GrantTerms} */ (statement.terms);
}

/** @param {Opened} opened @returns {ReleasedClip[]} */
function clipsOf(opened) {
  const clips = [];
  for (let number = 1; number <= MAX_CLIPS; number += 1) {
    const mp4 = opened.files.get(`clip-${number}.mp4`);
    if (mp4 === undefined) break;
    const manifest = parseCanonical(fileText(opened, `manifest-${number}.json`));
    const name = `clip-${number}.mp4`;
    const signed = /** @type {SignedManifest} */ (manifest);
    clips.push({ name, mp4, manifest: signed, checked: null, has_sound: false });
  }
  if (clips.length === 0) throw new WireError("the package holds no clip");
  return clips;
}

/** @param {Opened} opened @param {string} name */
function fileText(opened, name) {
  const file = opened.files.get(name);
  if (file === undefined) throw new WireError(`${name} isn't in the package`);
  return text(file);
}

/** @param {Opened} opened @param {ReleasedClip[]} released @param {Check[]} checks */
function show(opened, released, checks) {
  const videos = released.map((clip) =>
    URL.createObjectURL(new Blob([clip.mp4], { type: "video/mp4" })),
  );
  const video = /** @type {HTMLVideoElement} */ (section.querySelector("video"));
  video.src = videos[0];
  video.dataset.testid = "evidence-video";
  const choices = videos.map((url, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t("clip", { number: index + 1 });
    button.addEventListener("click", () => {
      video.src = url;
    });
    return button;
  });
  const clips = document.getElementById("clips");
  clips?.classList.add("actions");
  clips?.replaceChildren(...(videos.length > 1 ? choices : []));
  const facts = released.flatMap(recorded);
  document.getElementById("recorded")?.replaceChildren(...facts);
  document.getElementById("recorded-part")?.toggleAttribute("hidden", facts.length === 0);
  section.querySelector("#verification tbody")?.replaceChildren(...checks.map(checkRow));
  const links = [...opened.files].map(([name, data]) => fileLink(name, data));
  document.getElementById("files")?.replaceChildren(...links);
  document.getElementById("opened")?.removeAttribute("hidden");
}

/**
 * What the doorbell signed about a clip; nothing of one of which something doesn't hold.
 * @param {ReleasedClip} clip @param {number} index @param {ReleasedClip[]} all
 */
function recorded({ checked, has_sound }, index, all) {
  if (checked === null) return [];
  const list = document.createElement("ul");
  list.dataset.testid = "recorded";
  for (const { text: key, values, isOdd } of factsOf(checked, { has_sound })) {
    const item = document.createElement("li");
    item.className = isOdd ? "warn-text" : "";
    item.textContent = t(key, values);
    list.append(item);
  }
  if (all.length === 1) return [list];
  const heading = document.createElement("h3");
  heading.textContent = t("clip", { number: index + 1 });
  return [heading, list];
}

/** @param {Check} check */
function checkRow({ text: words, holds, why }) {
  const row = document.createElement("tr");
  const what = document.createElement("th");
  what.scope = "row";
  what.textContent = words;
  const result = document.createElement("td");
  result.className = holds ? "ok" : "bad";
  result.dataset.testid = holds ? "verify-ok" : "verify-bad";
  result.textContent = t(holds ? "check.holds" : "check.fails");
  if (why) result.append(`: ${why}`);
  row.append(what, result);
  return row;
}

/** @param {string} name @param {Bytes} data */
function fileLink(name, data) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  link.download = name;
  link.className = "button";
  link.textContent = name;
  return link;
}
