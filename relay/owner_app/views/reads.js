/**
 * The page of administrators' accesses to this account, which the relay records before it shows
 * them data. It is the relay's own word; no picture and no recording is ever among it.
 * @module
 */
import { fill, h, skeleton } from "../dom.js";
import { t, time } from "../i18n.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{admin: string, what: "account" | "found" | "suspended" | "restored", read_ms: number}} Read */

const SHOWN_AT_FIRST = 5;

/** @param {Context} context */
export function readsSection({ relay, left }) {
  const place = h("div", { "aria-live": "polite" }, skeleton(1));
  const load = async () => {
    try {
      const { reads } = await relay.get("reads");
      fill(place, list(reads));
    } catch (error) {
      if (!left.aborted) fill(place, problem(error));
    }
  };
  void load();
  return h("section", { id: "reads" }, h("h2", {}, t("reads.title")), h("p", { class: "muted" }, t("reads.help")), place);
}

/** @param {Read[]} reads the newest first */
function list(reads) {
  if (reads.length === 0) return h("p", { class: "empty" }, t("reads.nobody"));
  const rows = (/** @type {Read[]} */ some) => h("ul", { class: "rows" }, some.map(row));
  const older = reads.slice(SHOWN_AT_FIRST);
  return [
    rows(reads.slice(0, SHOWN_AT_FIRST)),
    older.length > 0 && h("details", {}, h("summary", {}, t("reads.older", { count: older.length })), rows(older)),
  ];
}

/** @param {Read} read */
function row({ admin, what, read_ms }) {
  const words = h("div", { class: "grow sentence" }, h("strong", {}, admin), t(`reads.${what}`));
  return h("li", { "data-testid": "read", "data-what": what }, words, h("span", { class: "muted" }, time(read_ms)));
}
