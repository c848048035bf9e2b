/**
 * What an author is told of legal process about their posts.
 * @module
 */
import { h } from "../dom.js";
import { t, timeWithin } from "../i18n.js";

/** @typedef {import("../feed.js").LegalNotice} LegalNotice */

/** @param {LegalNotice[]} notices */
export function legalNotices(notices) {
  return notices.map(({ id, kind, yielded, told_ms }) =>
    h(
      "div",
      { class: "notice", "data-legal": id },
      h("p", {}, h("strong", {}, t("neighbours.legal", { time: timeWithin(told_ms) }))),
      h("p", {}, t("neighbours.legal.what", { kind: t(`neighbours.legal.kind.${kind}`), yielded: yielded.map((one) => t(`neighbours.legal.yield.${one}`)).join(", ") })),
      h("p", { class: "muted" }, t("neighbours.legal.ask")),
    ),
  );
}
