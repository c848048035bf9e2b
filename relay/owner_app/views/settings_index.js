/**
 * The settings: six groups, a row each.
 * @module
 */
import { rows } from "../components/rows.js";
import { t } from "../i18n.js";

const GROUPS = /** @type {const} */ ([
  ["doorbell", "bell"],
  ["camera", "camera"],
  ["notifications", "notifications"],
  ["people", "people"],
  ["police", "police"],
  ["data", "data"],
]);

/** @returns {import("../app.js").Page} */
export function settingsIndex() {
  const groups = GROUPS.map(([name, icon]) => ({
    icon,
    id: `settings-${name}`,
    title: t(`settings.group.${name}`),
    more: t(`settings.group.${name}.what`),
    href: `#/settings/${name}`,
  }));
  const credits = { id: "settings-credits", title: t("credit.title"), more: t("credit.what"), href: "#/credits" };
  return { title: t("settings.title"), body: [rows(groups), rows([credits])] };
}
