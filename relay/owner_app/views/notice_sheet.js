/**
 * The sheet for the door, to be printed: the notice's code and one sentence, on A5 at most.
 * @module
 */
import { doorNoticeOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { noticeAddress } from "./door_notice.js";
import { unknownDoorbell } from "./no_doorbell.js";
import { known, living } from "./parts.js";
import { qrFigure } from "./qr_picture.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {"en" | "sv"} Language */

/** @type {Record<string, Language[]>} */
const CHOICES = { en: ["en"], sv: ["sv"], both: ["sv", "en"] };

/** @param {Context} context @returns {Promise<import("../app.js").Page>} */
export async function noticeSheetPage(context) {
  const { household, parts } = context;
  await known(household);
  await household.reading;
  const title = t("notice.sheet");
  const bell = household.doorbell(parts[0] ?? "");
  if (bell === undefined) return { title, body: unknownDoorbell(context, parts[0]) };
  const back = h("p", { class: "back" }, h("a", { href: `#/settings/camera/${bell.device}/notice` }, `‹ ${t("settings.page.notice")}`));
  const first = document.documentElement.lang === "sv" ? "sv" : "en";
  const sheet = h("div", { class: "door-sheet", id: "door-sheet" });
  const address = () => {
    const now = doorNoticeOf(household, bell.device);
    return now && noticeAddress(context, now.noticeId);
  };
  const choose = h(
    "select",
    { id: "sheet-language" },
    h("option", { value: "en", lang: "en", selected: first === "en" }, "English"),
    h("option", { value: "sv", lang: "sv", selected: first === "sv" }, "Svenska"),
    h("option", { value: "both" }, t("notice.sheet_language.both")),
  );
  const draw = () => fill(sheet, ...contentOf(address(), CHOICES[choose.value]));
  choose.addEventListener("change", draw);
  draw();
  if (address() === null) return { title, body: [back, h("p", { class: "empty", id: "no-notice" }, t("notice.none"))] };
  const gone = living(context, () => (address() === null ? [h("p", { class: "warning", role: "status" }, t("notice.none"))] : []));
  household.addEventListener("change", draw, { signal: context.left });
  return {
    title,
    body: [
      back,
      h("p", {}, t("notice.print_help")),
      gone,
      h("div", { class: "setting" }, h("label", { for: "sheet-language" }, t("notice.sheet_language")), choose),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "print-sheet", onclick: () => window.print() }, t("notice.print"))),
      sheet,
    ],
  };
}

/** @param {string | null} address @param {Language[]} languages */
function contentOf(address, languages) {
  if (address === null) return [];
  return [
    ...languages.map((lang) => h("h2", { lang }, t(`notice.sheet.title.${lang}`))),
    qrFigure(address, { id: "sheet-code", label: t("notice.code_label") }),
    ...languages.map((lang) => h("p", { lang }, t(`notice.sheet.text.${lang}`))),
    h("p", { class: "address" }, address),
  ];
}
