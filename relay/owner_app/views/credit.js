/**
 * The field for a partner's code, folded where one pairs or joins, and its own page in the settings.
 * @module
 */
import { CodeRefused, creditCode, handIn, rememberCreditCode } from "../credit_code.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { guarded } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Context} context */
export function creditPage(context) {
  const about = h("a", { href: `${context.relayUrl}/credits`, rel: "external" }, t("credit.about"));
  return {
    title: t("credit.title"),
    body: [h("p", { class: "lead" }, t("credit.lead")), codeForm(context), h("p", { class: "muted" }, t("credit.forgotten"), " ", about)],
  };
}

/** "Do you have a code?", folded. @param {Context} context */
export function creditFold(context) {
  return h("details", { id: "credit-fold" }, h("summary", {}, t("credit.fold")), h("p", {}, t("credit.lead")), codeForm(context));
}

/** @param {Context} context */
function codeForm({ relay, household }) {
  const { owner } = household;
  const place = h("div", { "aria-live": "polite" });
  const kept = h("div");
  const code = h("input", { id: "credit-code", name: "code", required: true, maxlength: 24, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", "aria-describedby": "credit-hint" });
  const drop = () => {
    rememberCreditCode(owner, null);
    showKept();
    code.focus();
  };
  const showKept = () => {
    const found = creditCode(owner);
    const button = h("button", { id: "credit-drop", type: "button", onclick: drop }, t("credit.drop"));
    fill(kept, found !== null && h("div", { class: "notice", id: "credit-waits", role: "status" }, keptWords(found), button));
  };
  const send = guarded(place, async () => {
    try {
      const done = await handIn(relay, owner, code.value);
      code.value = "";
      fill(place, done === "counted" && h("p", { class: "ok", id: "credit-counted", role: "status" }, t("credit.counted")));
    } catch (error) {
      if (!(error instanceof CodeRefused)) throw error;
      fill(place, h("div", { class: "warning", id: "credit-refused", role: "alert" }, h("p", {}, refusal(error.code))));
    } finally {
      showKept();
    }
  });
  showKept();
  const form = h(
    "form",
    { onsubmit: send },
    h("label", { for: "credit-code" }, t("credit.code")),
    code,
    h("p", { class: "hint", id: "credit-hint" }, t("credit.hint")),
    h("div", { class: "actions" }, h("button", { id: "credit-send", type: "submit" }, t("credit.send"))),
  );
  return h("div", {}, kept, form, place);
}

/** @param {import("../credit_code.js").CreditCode} kept */
function keptWords({ code, from_ms, refused }) {
  if (refused) return h("p", {}, t("credit.refused", { code }), " ", refusal(refused));
  if (from_ms === null) return h("p", {}, t("credit.waits", { code }));
  return h("p", {}, t("credit.waits_until", { code }), " ", time(from_ms, "day"), ". ", t("credit.nobody"));
}

/** @param {string} code */
function refusal(code) {
  return t(`credit.refused.${code}`);
}
