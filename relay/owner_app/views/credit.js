/**
 * The field for a partner's code, folded where one pairs or joins, and its own page in the settings.
 * @module
 */
import { creditCode, rememberCreditCode } from "../account.js";
import { ApiError } from "../api.js";
import { handIn } from "../credit_code.js";
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";
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
    fill(kept, found !== null && h("div", { class: "notice", id: "credit-waits", role: "status" }, h("p", {}, t("credit.waits", { code: found.code })), button));
  };
  const send = guarded(place, async () => {
    try {
      const done = await handIn(relay, owner, code.value);
      code.value = "";
      fill(place, done === "counted" && h("p", { class: "ok", id: "credit-counted", role: "status" }, t("credit.counted")));
    } catch (error) {
      const refused = error instanceof ApiError ? `credit.refused.${error.code}` : "";
      if (!hasText(refused)) throw error;
      fill(place, h("div", { class: "warning", id: "credit-refused", role: "alert" }, h("p", {}, t(refused))));
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
