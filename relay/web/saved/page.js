/**
 * The saved page: opens and checks evidence from files, without a network.
 *
 * It is one file with everything in it (relay/web/saved_page.mjs makes it), and its policy lets it
 * talk to nobody. The key file is read here and goes nowhere. It works from a file only: whoever
 * serves a page could change it for the one officer who uses a key in it.
 * @module
 */
import { factsOf } from "./manifest_facts.js";
import { WireError, parse, sha256Hex, text, unb64u, utf8 } from "../static/js/protocol/encoding.js";
import { openPackage } from "./packages.js";
import { apart, filledApart } from "../static/js/protocol/plain_text.js";
import { CODE, inWords, saidBy } from "./verify/checks.js";
import { checkAgreement } from "./verify/register.js";
import { clipNumbers, clipOf, evidenceOf, readDocuments, requestUnverified, signedRequest, termsUnverified } from "./verify/document_reader.js";
import { REGISTER_FILE, readRegister } from "./verify/register_file.js";
import { checkEvidence } from "./verify/report.js";
import { parsePolicy } from "./verify/tlog.js";

/** @typedef {import("../static/js/protocol/encoding.js").Bytes} Bytes */
/** @typedef {import("./verify/checks.js").Check} Check */
/** @typedef {import("./verify/document_reader.js").Evidence} Evidence */
/** @typedef {import("./verify/document_reader.js").KnownAgency} KnownAgency */
/** @typedef {import("./verify/report.js").Report} Report */
/** @typedef {import("./verify/report.js").Recording} Recording */
/** @typedef {{agency: string, sealing_private_key: string, sealing_public_key: string, signing_key?: string}} KeyFile */

const MAX_SMALL_BYTES = 1024 * 1024;
/** @type {Record<string, Record<string, string>>} */
const allTexts = JSON.parse(byId("texts").textContent ?? "{}");
const language = navigator.language.startsWith("sv") ? "sv" : "en";
const button = /** @type {HTMLButtonElement} */ (byId("check"));

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = t(/** @type {HTMLElement} */ (element).dataset.text ?? "");
}
if (location.protocol === "file:") {
  button.addEventListener("click", () => void check());
  button.disabled = false;
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => drop(event));
  byId("choose").addEventListener("click", () => byId("register").click());
  byId("register").addEventListener("change", () => void (byId("wanted").hidden || check()));
} else if (location.protocol.startsWith("http")) {
  say(t("saved.served"), "bad");
} else {
  say(t("saved.no_file", { scheme: location.protocol }), "bad");
}

async function check() {
  button.disabled = true;
  byId("found").hidden = true;
  byId("wanted").hidden = true;
  say(t("saved.working"));
  try {
    const key = await readKey();
    const evidence = await readEvidence(key);
    const report = await checkEvidence(evidence, {
      agency: (await readAgreement()) ?? agencyOf(key),
      policy: await readPolicy(),
      fleetCa: await readText("fleet-ca"),
      register: await readWhole(),
    });
    show(evidence, report, await papers(evidence.files));
  } catch (error) {
    const said = saidBy(error);
    say(words(said), "bad");
    if (isOfRegister(said)) wantRegister();
  } finally {
    button.disabled = false;
  }
}

/**
 * Takes a package and a key that are dropped on the page, and opens it once it has both. What the
 * checks rely on besides (policy, agreement, fleet) is chosen in its own field only, so that no file
 * that came with the evidence can stand for it. A drop on a field is that field's own.
 * @param {DragEvent} event
 */
function drop(event) {
  if (event.target instanceof HTMLInputElement) return;
  event.preventDefault();
  const files = [...(event.dataTransfer?.files ?? [])];
  const taken = [
    put("evidence", files.filter(({ name }) => name.endsWith(".dwpkg"))),
    put("key", files.filter(({ name }) => /key[^/]*\.json$/i.test(name))),
  ];
  if (!taken.includes(true)) say(t("saved.not_dropped"), "bad");
  else if (chosen("evidence").length > 0 && chosen("key").length > 0 && !button.disabled) void check();
}

/** @param {string} id @param {File[]} files @returns {boolean} whether there was one to put into the field */
function put(id, files) {
  if (files[0] === undefined) return false;
  const transfer = new DataTransfer();
  transfer.items.add(files[0]);
  /** @type {HTMLInputElement} */ (byId(id)).files = transfer.files;
  return true;
}

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} key @param {Record<string, string | number>} [values] */
function t(key, values = {}) {
  return filledApart(allTexts[language][key] ?? allTexts.en[key] ?? key, values);
}

/** What a check says; names and numbers stay as they are. @param {import("../static/js/protocol/encoding.js").Said} said */
function words(said) {
  return inWords(said, allTexts[`details.${language}`] ?? {});
}

/** @param {string} words @param {string} [style] */
function say(words, style = "") {
  byId("status").textContent = words;
  byId("status").className = style;
}

/** @param {string} id @returns {File[]} */
function chosen(id) {
  return [.../** @type {HTMLInputElement} */ (byId(id)).files ?? []];
}

/** @param {string} id @returns {Promise<string | null>} */
async function readText(id) {
  const [file] = chosen(id);
  if (file === undefined) return null;
  if (file.size > MAX_SMALL_BYTES) throw new WireError(t("saved.too_large", { name: file.name }));
  return text(new Uint8Array(await file.arrayBuffer()));
}

/** @returns {Promise<KeyFile | null>} */
async function readKey() {
  const read = await readText("key");
  return read === null ? null : parse(read);
}

/** A key that can only open says who the agency is; the agency's own is a secret that isn't taken apart here. @param {KeyFile | null} key @returns {KnownAgency | null} */
function agencyOf(key) {
  if (key === null || key.signing_key === undefined) return null;
  return { id: key.agency, signing_key: key.signing_key };
}

/** @returns {Promise<KnownAgency | null>} */
async function readAgreement() {
  const read = await readText("agreement");
  if (read === null) return null;
  const { agency, signing_key } = await checkAgreement(parse(read));
  return { id: agency, signing_key };
}

async function readPolicy() {
  const read = await readText("policy");
  return read === null ? null : parsePolicy(read);
}

/** The whole register: the one that is named, else what lies among the evidence. */
async function readWhole() {
  const [file] = [...chosen("register"), ...chosen("evidence").filter(({ name }) => name === REGISTER_FILE)];
  if (file === undefined) return null;
  const whole = await readRegister(file);
  whole.onProgress = (done, all) => say(t("saved.replaying", { done, all }));
  return whole;
}

/** Whether what is said is of the register's file: that it is missing, or which is wrong. @param {import("../static/js/protocol/encoding.js").Said} said */
function isOfRegister({ values }) {
  return values.name === REGISTER_FILE;
}

function wantRegister() {
  byId("wanted-words").textContent = t("saved.wanted", { name: REGISTER_FILE });
  byId("choose").textContent = t("saved.choose", { name: REGISTER_FILE });
  byId("wanted").hidden = false;
}

/** @param {KeyFile | null} key @returns {Promise<Evidence>} */
async function readEvidence(key) {
  const files = chosen("evidence").filter(({ name }) => name !== REGISTER_FILE);
  if (files.length === 0) throw new WireError(t("saved.nothing"));
  if (files.length > 1) {
    const named = await readDocuments(new Map(files.map((file) => [file.name, file])));
    if (clipNumbers(named).length === 0) throw new WireError(t("saved.no_clip"));
    return evidenceOf(named);
  }
  if (key === null) throw new WireError(t("saved.no_key"));
  const opened = await openPackage(files[0], unb64u(key.sealing_private_key), unb64u(key.sealing_public_key));
  return evidenceOf(await readDocuments(opened.files), opened.header);
}

/** @param {Evidence} evidence @param {Report} report @param {Node[]} told what the papers say */
function show({ files, beside }, { checks, recordings, code, example }, told) {
  const outcome = { [CODE.HOLDS]: "saved.holds", [CODE.INCOMPLETE]: "saved.incomplete" }[code] ?? "saved.fails";
  say(t(outcome, { code }), code >= CODE.UNREADABLE ? "bad" : code === CODE.HOLDS ? "ok" : "");
  byId("example").textContent = example === null ? "" : t("saved.example", { origin: example });
  byId("checks").replaceChildren(...checks.map(row));
  if (checks.some(({ result, detail }) => result !== "holds" && isOfRegister(detail))) wantRegister();
  byId("papers").replaceChildren(...told);
  const proven = recordings.flatMap((recording) => described(files, recording));
  byId("recordings").replaceChildren(...(proven.length > 0 ? proven : [t("saved.no_recordings")]));
  byId("files").replaceChildren(...[...files].map(([name, data]) => download(name, data)));
  byId("beside").textContent = beside.length === 0 ? "" : t("saved.beside", { names: beside.map(apart).join(", ") });
  byId("found").hidden = false;
}

/** @param {Check} check */
function row({ what, where, result, detail }) {
  const line = document.createElement("tr");
  const title = document.createElement("th");
  title.scope = "row";
  title.textContent = where ? `${where}: ${t(`check.${what}`)}` : t(`check.${what}`);
  const found = document.createElement("td");
  found.className = { holds: "ok", fails: "bad", "not checked": "", "not shown": "" }[result];
  found.dataset.result = result;
  found.textContent = t(`check.${result.replace(" ", "_")}`);
  const told = document.createElement("td");
  told.textContent = words(detail);
  line.append(title, found, told);
  return line;
}

/** What the papers say, of those that can be read. @param {Evidence["files"]} files */
async function papers(files) {
  try {
    const request = requestUnverified(files);
    const terms = termsUnverified(files);
    const digest = await sha256Hex(utf8(signedRequest(files).request));
    const when = (/** @type {number} */ ms) => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
    return [
      ["saved.asked_by", filledApart("{drafter}, {cosigner} ({agency})", {
        drafter: request.officer_name,
        cosigner: request.cosigner_name,
        agency: request.agency,
      })],
      ["saved.case", request.case_number],
      ["saved.asked_for", `${when(request.from_ms)} – ${when(request.to_ms)}`],
      ["saved.in_words", apart(request.text)],
      ["saved.digest", t("saved.compare", { digest })],
      ["saved.granted", t(terms.has_audio ? "saved.with_sound" : "saved.without_sound", { count: terms.clips.length })],
    ].flatMap(([label, value]) => {
      const [term, said] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = t(label);
      said.textContent = value;
      return [term, said];
    });
  } catch {
    return [];
  }
}

/** @param {Evidence["files"]} files @param {Recording} recording */
function described(files, { number, manifest, has_sound, is_sound_given, part }) {
  const heading = document.createElement("h3");
  heading.textContent = `clip-${number}.mp4`;
  const list = document.createElement("ul");
  const range = { first: part.first_gop + 1, last: part.first_gop + part.gop_count, all: manifest.gops.length };
  const facts = [
    ...factsOf(manifest, { has_sound, is_sound_given }).map(({ text: key, values, isOdd }) => ({ words: t(key, values), isOdd })),
    { words: t("saved.parts", range), isOdd: false },
  ];
  for (const { words, isOdd } of facts) {
    const item = document.createElement("li");
    item.textContent = words;
    item.className = isOdd ? "bad" : "";
    list.append(item);
  }
  const video = document.createElement("video");
  video.controls = true;
  video.src = URL.createObjectURL(new Blob([clipOf(files, number)], { type: "video/mp4" }));
  return [heading, video, list];
}

/** @param {string} name @param {Bytes | Blob} data */
function download(name, data) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  link.download = name;
  link.textContent = name;
  item.append(link);
  return item;
}
