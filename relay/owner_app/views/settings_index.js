/**
 * The settings: six groups, a row each.
 * @module
 */
import { rows } from "../components/rows.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { otherHomes } from "./other_homes.js";

const GROUPS = /** @type {const} */ ([
  ["doorbell", "bell"],
  ["camera", "camera"],
  ["notifications", "notifications"],
  ["people", "people"],
  ["police", "police"],
  ["data", "data"],
]);

/** @param {import("../app.js").Context} context @returns {import("../app.js").Page} */
export function settingsIndex(context) {
  const groups = GROUPS.map(([name, icon]) => ({
    icon,
    id: `settings-${name}`,
    title: t(`settings.group.${name}`),
    more: t(`settings.group.${name}.what`),
    href: `#/settings/${name}`,
  }));
  const credits = { id: "settings-credits", title: t("credit.title"), more: t("credit.what"), href: "#/credits" };
  return { title: t("settings.title"), body: [rows(groups), rows([credits]), otherHomes(context) ?? h("div")] };
}
