/**
 * Two lists of a doorbell's settings: active holds, and blocked agencies.
 * @module
 */
import { holdsOf, settingsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { spanText, t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { guarded, living } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").Terms} Terms */

/** @param {Context} context @param {string} device */
export function holdsSection(context, device) {
  const { household } = context;
  const list = new SentList(context, device, { id: "holds", none: t("holds.none") }, () =>
    holdsOf(household, device, nowMs()).map((hold) => ({
      key: hold.hold_digest,
      words: h("div", { class: "grow sentence" }, h("strong", {}, spanText(hold.from_ms, hold.to_ms)), h("span", { class: "muted" }, t("holds.until"), " ", time(hold.until_ms, "day"))),
      button: t("holds.end"),
      terms: { kind: "unhold", hold_digest: hold.hold_digest },
    })),
  );
  return h("section", {}, h("p", {}, t("holds.help")), list.node);
}

/** @param {Context} context @param {string} device */
export function refusedSection(context, device) {
  const { household, relay } = context;
  /** @type {Map<string, string>} by id, as far as the relay names them; at the door their own page does */
  let names = new Map();
  const load = async () => {
    const { requests } = await relay.get("requests");
    names = new Map(requests.map((/** @type {{agency: {id: string, name: string}}} */ { agency }) => [agency.id, agency.name]));
    household.dispatchEvent(new CustomEvent("change"));
  };
  load().catch((error) => console.warn("agencies' names", error)); // refused or not: a fetch mustn't tell
  const list = new SentList(context, device, { id: "refused", none: t("refused.none") }, () =>
    settingsOf(household, device).refused.map((agency) => ({
      key: agency,
      words: h("div", { class: "grow" }, h("strong", {}, names.get(agency) ?? agency), names.has(agency) && h("span", { class: "muted" }, agency)),
      button: t("refused.allow"),
      terms: { kind: "refuse_agency", agency, is_refused: false },
    })),
  );
  return h("section", {}, h("p", {}, t("refused.help")), list.node);
}

/** @typedef {{key: string, words: Node, button: string, terms: Terms}} Row */

/** Rows, each with one button that signs; what was sent is followed below them. */
class SentList {
  /** @param {Context} context @param {string} device @param {{id: string, none: string}} words @param {() => Row[]} rows */
  constructor(context, device, { id, none }, rows) {
    this.context = context;
    this.device = device;
    this.said = h("div", { "aria-live": "polite" });
    this.sent = "";
    this.node = h(
      "div",
      {},
      living(context, () => {
        const found = rows();
        const items = found.map((row) => this.#item(row));
        return [
          items.length ? h("ul", { class: "rows", id }, items) : h("p", { class: "empty" }, none),
          ...this.#progress(),
        ];
      }),
      this.said,
    );
  }

  /** @param {Row} row */
  #item({ key, words, button, terms }) {
    const send = guarded(this.said, async () => {
      this.sent = await sendStatement(this.context.household, this.device, terms);
      this.context.household.dispatchEvent(new CustomEvent("change"));
    });
    return h("li", { "data-key": key }, words, h("button", { id: `send-${key}`, onclick: send }, button));
  }

  #progress() {
    const { household } = this.context;
    if (this.sent === "") return [];
    const last = household.notesOn(this.sent).at(-1)?.note.body.type;
    if (last === "holds_now" || last === "refused_now") return [h("p", { class: "ok", role: "status" }, t("progress.done"))];
    return statementProgress(household, this.sent, () => this.#forget(), "settings", this.device);
  }

  #forget() {
    this.sent = "";
    fill(this.said);
    this.context.household.dispatchEvent(new CustomEvent("change"));
  }
}
