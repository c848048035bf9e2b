/**
 * The page at an address that the app has none for.
 * @module
 */
import { h } from "../dom.js";
import { t } from "../i18n.js";

/** Says that there is no such page. */
export function nowherePage() {
  return {
    title: t("nowhere.title"),
    body: [h("p", { id: "nowhere" }, t("nowhere.text")), h("p", {}, h("a", { class: "button", href: "#/" }, t("nowhere.home")))],
  };
}
