/**
 * The page of pairing: the code for the doorbell's camera, then six words to compare.
 *
 * Whether they are the same, the owner alone says. The relay may call a pairing done whenever it
 * likes: the words stay until they are answered, and no key counts as compared before.
 * @module
 */
import { ownerKeys, rememberKeys } from "../account.js";
import { nameField } from "./browsers.js";
import { fill, h, svg } from "../dom.js";
import { t } from "../i18n.js";
import { pairingReaches } from "../statements.js";
import { deviceIdOf, newId, unb64u } from "../vendor/protocol/encoding.js";
import { qrText, sixWords } from "../vendor/protocol/pairing.js";
import qrcode from "../vendor/qrcode.mjs";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").PairingCode} PairingCode */

const QUIET_MODULES = 4;

/** @param {Context} context */
export async function pairPage(context) {
  const { relay, household, left } = context;
  /** @type {PairingCode} */
  const code = { v: 1, pairing_id: newId(), owner: await ownerKeys(household.owner) };
  await relay.post("pairings", { pairing_id: code.pairing_id });
  const place = h("div", {}, showCode(qrText(code)), nameField(context, async () => {
    code.owner = await ownerKeys(household.owner);
    place.querySelector("#pair-qr")?.replaceWith(qrFigure(qrText(code)));
  }));
  pair(context, code, place).catch((error) => {
    if (!left.aborted) fill(place, problem(error), again());
  });
  return { title: t("pair.title"), body: [place] };
}

/** @param {Context} context @param {PairingCode} code @param {HTMLElement} place */
async function pair({ relay, household, left }, code, place) {
  const answer = await pairingReaches(relay, code.pairing_id, ["answered", "paired"], left);
  if (answer === null) return;
  const { device, identity_key, sealing_key } = answer;
  if ((await deviceIdOf(unb64u(identity_key))) !== device) throw new Error("not the doorbell's key");
  const words = await sixWords(code, identity_key, sealing_key);
  if (!(await areSame(place, words))) return fill(place, showDifferent());
  if (left.aborted) return;
  rememberKeys(device, { identity_key, sealing_key });
  fill(place, showSame(words));
  if ((await pairingReaches(relay, code.pairing_id, ["paired"], left)) === null) return;
  await household.load();
  fill(place, showPaired());
}

/** @param {string} text */
function showCode(text) {
  return [
    h("p", { class: "lead" }, t("pair.show")),
    h(
      "ol",
      { class: "steps" },
      ["pair.step1", "pair.step2", "pair.step3"].map((key) => h("li", {}, t(key))),
    ),
    qrFigure(text),
    h("p", { class: "muted", role: "status" }, t("pair.waiting")),
  ];
}

/** @param {string} text */
function qrFigure(text) {
  return h("figure", { class: "qr", id: "pair-qr", "data-text": text }, qrPicture(text));
}

/** @param {string} text */
function qrPicture(text) {
  const code = qrcode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  let dark = "";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      if (code.isDark(row, column)) dark += `M${column} ${row}h1v1h-1z`;
    }
  }
  const size = count + 2 * QUIET_MODULES;
  const viewBox = `${-QUIET_MODULES} ${-QUIET_MODULES} ${size} ${size}`;
  return svg(
    "svg",
    { viewBox, role: "img", "aria-label": t("pair.qr_label"), "shape-rendering": "crispEdges" },
    svg("path", { d: `M${-QUIET_MODULES} ${-QUIET_MODULES}h${size}v${size}h-${size}z`, fill: "#fff" }),
    svg("path", { d: dark, fill: "#000" }),
  );
}

/** Shows the words until the owner has said whether they are the same. @param {HTMLElement} place @param {string[]} words @returns {Promise<boolean>} */
function areSame(place, words) {
  return new Promise((answer) => {
    fill(
      place,
      h("p", { class: "lead" }, t("pair.compare")),
      sixShown(words),
      h("p", { id: "same-question" }, t("pair.same")),
      h(
        "div",
        { class: "choice", role: "group", "aria-labelledby": "same-question" },
        h("button", { id: "same-words", onclick: () => answer(true) }, t("pair.yes")),
        h("button", { id: "other-words", onclick: () => answer(false) }, t("pair.no")),
      ),
      h("div", { class: "warning" }, h("p", {}, t("pair.differ"))),
    );
  });
}

/** @param {string[]} words that were compared; they stay, since the doorbell's page shows them too */
function showSame(words) {
  return [
    h("p", { class: "lead", role: "status" }, t("pair.number")),
    sixShown(words),
    h("p", { class: "muted" }, t("pair.door_waiting")),
  ];
}

function showDifferent() {
  return [
    h("div", { class: "warning", id: "words-differ", role: "alert" }, h("p", {}, t("pair.stopped"))),
    h("p", {}, t("pair.stopped_help")),
    again(),
  ];
}

/** @param {string[]} words */
function sixShown(words) {
  return h("ol", { class: "words", id: "words" }, words.map((word) => h("li", { lang: "en" }, word)));
}

function showPaired() {
  return [
    h("div", { class: "notice", id: "paired", role: "status" }, h("p", {}, t("pair.done"))),
    h("div", { class: "actions" }, h("a", { class: "button primary", id: "to-door", href: "#/" }, t("pair.to_door"))),
  ];
}

function again() {
  return h("button", { class: "primary", onclick: () => location.reload() }, t("error.again"));
}
