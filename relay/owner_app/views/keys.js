/**
 * The page of keys from outside the app: confirmation keys, and the recovery key. Only public
 * halves come here, pasted; the doorbell's own page shows the same six words.
 * @module
 */
import { approversAdded, rememberApprovers } from "../kept_keys.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { fetchResidents } from "../residents.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { parseApproverCode, parseRecoveryCode } from "../vendor/protocol/owner_codes.js";
import { approverWords, recoveryKeyWords } from "../vendor/protocol/pairing.js";
import { guarded, living } from "./parts.js";
import { standing, statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../kept_keys.js").Approver} Approver */
/** @typedef {import("../vendor/protocol/documents.js").Terms} Terms */

/** @param {Context} context @param {string} device */
export function approversSection(context, device) {
  const recoveryKey = h("div", { "aria-live": "polite" });
  const { household, ready } = context;
  const list = h("div", { "aria-live": "polite" });
  const said = h("div", { "aria-live": "polite" });
  let isTold = false;
  const draw = () => {
    const added = approversAdded(device);
    const none = t(isTold ? "keys.none_told" : "keys.no_approvers");
    fill(list, added.length ? h("ul", { class: "rows", id: "approvers" }, added.map(row)) : h("p", { class: "empty" }, none));
    if (isTold) fill(all, h("p", { class: "muted", id: "all-approvers" }, t("keys.all_told")));
  };
  const forget = (/** @type {Approver} */ gone) => {
    rememberApprovers(device, approversAdded(device).filter(({ credential_id }) => credential_id !== gone.credential_id));
    draw();
  };
  const row = (/** @type {Approver} */ approver) => {
    const { name, credential_id, added_ms, words } = approver;
    const end = guarded(said, async () => {
      await sendStatement(household, device, { kind: "end_approver", credential_id });
      forget(approver);
      fill(said, h("p", { class: "notice", role: "status" }, t("keys.ending", { name })));
    });
    const label = { id: `end-${credential_id}`, "aria-label": t("keys.end_label", { name }), onclick: end };
    return h("li", {}, h("div", { class: "grow" }, h("strong", {}, name), known(added_ms, words)), h("button", label, t("keys.end")));
  };
  const ask = guarded(said, async () => {
    fill(said, h("p", { class: "muted", role: "status" }, t("live.asking")));
    const told = await fetchResidents(ready, device).catch((error) => {
      console.warn("who lives here", error);
      return null;
    });
    if (told === null) return fill(said, h("p", { class: "warn-text", role: "alert" }, t("keys.not_told")));
    const addedAt = new Map(approversAdded(device).map(({ credential_id, added_ms }) => [credential_id, added_ms]));
    rememberApprovers(device, told.approvers.map((one) => ({ ...one, added_ms: addedAt.get(one.credential_id) })));
    isTold = true;
    draw();
    fill(said);
    fill(recoveryKey, recoveryTold(told.recovery_words));
  });
  const all = h("div", {}, h("p", { class: "muted" }, t("keys.only_here")), h("div", { class: "actions" }, h("button", { id: "ask-keys", onclick: ask }, t("keys.ask"))));
  draw();
  const form = pasteForm(context, device, {
    id: "approver",
    words: async (pasted) => {
      const { name, key } = await parseApproverCode(pasted);
      const others = approversAdded(device).filter(({ credential_id }) => credential_id !== key.credential_id);
      return {
        six: await approverWords(key),
        terms: { kind: "add_approver", name, key },
        done: () => {
          rememberApprovers(device, [...others, { name, credential_id: key.credential_id, added_ms: nowMs() }]);
          draw();
        },
      };
    },
  });
  return h("section", {}, h("h2", {}, t("keys.approvers")), h("p", {}, t("keys.approvers_help")), list, all, said, recoveryKey, form);
}

/** What is known of a key: its six words once the doorbell said them, else when it was added. @param {number | undefined} addedMs @param {string[] | undefined} words */
function known(addedMs, words) {
  if (words !== undefined) return h("span", { class: "muted", lang: "en" }, words.join(" "));
  return addedMs !== undefined && h("span", { class: "muted" }, time(addedMs, "day"));
}

/** @param {string[]} words none: there is no such key */
function recoveryTold(words) {
  if (words.length === 0) return h("p", { class: "notice", id: "no-recovery" }, t("keys.no_recovery"));
  return h("p", { id: "recovery-counts" }, t("keys.recovery_counts"), " ", h("strong", { lang: "en" }, words.join(" ")));
}

/** @param {Context} context @param {string} device */
export function recoverySection(context, device) {
  const form = pasteForm(context, device, {
    id: "recovery",
    words: async (pasted) => {
      const keys = await parseRecoveryCode(pasted);
      return { six: await recoveryKeyWords(keys), terms: { kind: "recovery", keys }, done: () => {} };
    },
  });
  return h("section", {}, h("p", {}, t("keys.recovery_help")), form);
}

/**
 * A field for a pasted code: signed, then six words to compare while it waits for the door.
 * @param {Context} context @param {string} device
 * @param {{id: "approver" | "recovery", words: (pasted: string) => Promise<{six: string[], terms: Terms, done: () => void}>}} how
 */
function pasteForm(context, device, { id, words }) {
  const { household } = context;
  const code = h("textarea", { id: `${id}-code`, rows: 3, spellcheck: "false", autocomplete: "off", required: true });
  const said = h("div", { "aria-live": "polite" });
  const place = h("div", { "aria-live": "polite" });
  const submit = guarded(said, async () => {
    const { six, terms, done } = await words(code.value);
    const digest = await sendStatement(household, device, terms);
    code.value = "";
    let isTold = false;
    const content = () => {
      const state = standing(household, digest);
      if (state === "done" && !isTold) {
        isTold = true;
        done();
      }
      const list = h("ol", { class: "words", "data-testid": `${id}-words` }, six.map((word) => h("li", { lang: "en" }, word)));
      const compare = state !== "refused" && state !== "done" && h("div", {}, h("p", {}, t("keys.words")), list);
      return [compare, ...statementProgress(household, digest, () => fill(place), "key", device)];
    };
    fill(place, h("div", { class: "card" }, living(context, content)));
  });
  return h(
    "div",
    {},
    h(
      "form",
      { onsubmit: submit },
      h("label", { for: code.id }, t(`keys.${id}_code`)),
      code,
      h("div", { class: "actions" }, h("button", { id: `add-${id}` }, t(`keys.${id}_add`))),
    ),
    said,
    place,
  );
}
