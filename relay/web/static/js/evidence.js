/**
 * Evidence: fetched sealed, opened with the agency's key file in this page, checked, shown.
 *
 * Or it is saved sealed, and opened elsewhere. The key file is read here and goes nowhere. The checks are those of `doorward-verify`; whom to
 * believe about the logs, and the fleet's certificate, a page of the relay can't know: it says so.
 * @module
 */
import { factsOf } from "./manifest_facts.js";
import { guarded, pageData, post, say, t, Refused } from "./page.js";
import { canonical, unb64u } from "./protocol/encoding.js";
import { openPackage } from "./protocol/packages.js";
import { apart } from "./protocol/plain_text.js";
import { CODE, codeOf, inWords, run, saidBy } from "./verify/checks.js";
import { clipNumbers, evidenceOf, fileOf, must, signedRequest } from "./verify/papers.js";
import { checkEvidence } from "./verify/report.js";

/** @typedef {import("./protocol/encoding.js").Bytes} Bytes */
/** @typedef {import("./verify/checks.js").Check} Check */
/** @typedef {import("./verify/report.js").Recording} Recording */
/** @typedef {import("./verify/papers.js").Evidence} Opened */

const FORGET_AFTER_MS = 60_000;
const section = /** @type {HTMLElement} */ (document.getElementById("evidence"));
const open = /** @type {HTMLButtonElement} */ (document.getElementById("open"));

open.addEventListener("click", () =>
  guarded(open, async () => {
    const key = await readKeyFile();
    say(t("downloading"));
    const sealed = await fetchPackage();
    say(t("opening"));
    const { files, header } = await openPackage(sealed, key.privateKey, key.publicKey).catch((error) => {
      throw new Refused(t("failed", { message: words(saidBy(error)) }));
    });
    const opened = evidenceOf(files, header);
    const { id, signing_key } = pageData("agency-document");
    const given = { agency: { id, signing_key }, policy: null, fleetCa: null };
    const report = await checkEvidence(opened, given);
    const checks = [await checkPublished(opened), ...report.checks];
    show(opened, report.recordings, checks);
    const code = codeOf(checks);
    say(t(outcomeOf(code)), { isBad: code >= CODE.UNREADABLE });
  }),
);

const save = /** @type {HTMLButtonElement} */ (document.getElementById("save"));
save.addEventListener("click", () =>
  guarded(save, async () => {
    say(t("downloading"));
    const link = fileLink(`${section.dataset.package}.dwpkg`, await fetchPackage());
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), FORGET_AFTER_MS);
    say(t("saved_package"));
  }),
);

for (const button of [open, save]) button.disabled = false; // drawn disabled: no click comes before this

/** @param {number} code */
function outcomeOf(code) {
  if (code === CODE.HOLDS) return "opened";
  return code === CODE.INCOMPLETE ? "check.incomplete" : "check.fails";
}

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

/** The package and the request inside are the ones that this page is about. @param {Opened} opened */
function checkPublished(opened) {
  return run(CODE.REQUEST, "published", async () => {
    must(opened.header?.package_id === section.dataset.package, "another package");
    const inside = canonical(signedRequest(opened.files));
    must(inside === canonical(pageData("request-signed")), "another request is inside");
  });
}

/** @param {Opened} opened @param {Recording[]} recordings @param {Check[]} checks */
function show(opened, recordings, checks) {
  const videos = clipNumbers(opened.files).map((number) => {
    const mp4 = /** @type {Bytes} */ (fileOf(opened.files, `clip-${number}.mp4`));
    return URL.createObjectURL(new Blob([mp4], { type: "video/mp4" }));
  });
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
  const facts = recordings.flatMap(recorded);
  document.getElementById("recorded")?.replaceChildren(...facts);
  document.getElementById("recorded-part")?.toggleAttribute("hidden", facts.length === 0);
  section.querySelector("#verification tbody")?.replaceChildren(...checks.map(checkRow));
  const links = [...opened.files].map(([name, data]) => fileLink(name, data));
  const beside = opened.beside.length === 0 ? [] : [` ${t("beside", { names: opened.beside.map(apart).join(", ") })}`];
  document.getElementById("files")?.replaceChildren(...links, ...beside);
  document.getElementById("opened")?.removeAttribute("hidden");
}

/**
 * What the doorbell signed about a recording of which every check holds.
 * @param {Recording} recording @param {number} _index @param {Recording[]} all
 */
function recorded({ number, manifest, has_sound, is_sound_given }, _index, all) {
  const list = document.createElement("ul");
  list.dataset.testid = "recorded";
  for (const { text: key, values, isOdd } of factsOf(manifest, { has_sound, is_sound_given })) {
    const item = document.createElement("li");
    item.className = isOdd ? "warn-text" : "";
    item.textContent = t(key, values);
    list.append(item);
  }
  if (all.length === 1) return [list];
  const heading = document.createElement("h3");
  heading.textContent = t("clip", { number });
  return [heading, list];
}

/** What a check says; names and numbers stay as they are. @param {import("./protocol/encoding.js").Said} said */
function words(said) {
  return inWords(said, pageData("details"));
}

/** @param {Check} check */
function checkRow({ what, where, result, detail }) {
  const row = document.createElement("tr");
  const title = document.createElement("th");
  title.scope = "row";
  title.textContent = where ? `${where}: ${t(`check.${what}`)}` : t(`check.${what}`);
  const found = document.createElement("td");
  const [style, testid] = { holds: ["ok", "verify-ok"], fails: ["bad", "verify-bad"], "not checked": ["", "verify-not"] }[result];
  found.className = style;
  found.dataset.testid = testid;
  found.textContent = t(`check.${result.replace(" ", "_")}`);
  if (result !== "holds") found.append(`: ${words(detail)}`);
  row.append(title, found);
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
