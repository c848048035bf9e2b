/**
 * The page of a doorbell's quick replies: the default one, recording, speech synthesis, and
 * deletion.
 * @module
 */
import { fill, h, skeleton } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { ReplyClient, ReplyError } from "../reply_client.js";
import { refusal } from "./live_refusal.js";
import { RecordingForm, textForm } from "./reply_forms.js";
import { known } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../reply_client.js").ReplyList} ReplyList */
/** @typedef {import("../reply_client.js").KeptReply} KeptReply */
/**
 * Makes a change and shows the list that comes of it; false if it wasn't done, which is then said.
 * @typedef {(change: (desk: ReplyClient) => Promise<ReplyList>, done: string) => Promise<boolean>} Change
 */

/** @param {Context} context */
export async function repliesPage(context) {
  const { household, parts } = context;
  await known(household);
  const lead = h("p", { class: "lead" }, t("sayings.lead"));
  const device = parts[0] ?? (household.doorbells.length === 1 ? household.doorbells[0].device : "");
  const bell = household.doorbell(device);
  if (bell === undefined) return { title: t("sayings.title"), body: [lead, choice(context)] };
  const page = new RepliesPage(context, device);
  void page.open();
  const isOneOfMany = household.doorbells.length > 1;
  return { title: isOneOfMany ? t("sayings.title_of", { door: bell.name }) : t("sayings.title"), body: [lead, page.node] };
}

/** Which doorbell? @param {Context} context */
function choice({ household }) {
  if (household.doorbells.length === 0) return h("p", { class: "empty" }, t("sayings.no_doorbell"));
  const rows = household.doorbells.map(({ device, name }) => h("li", {}, h("a", { href: `#/replies/${device}` }, name)));
  return h("ul", { class: "rows" }, rows);
}

class RepliesPage {
  /** @param {Context} context @param {string} device */
  constructor(context, device) {
    this.context = context;
    this.device = device;
    /** @type {ReplyClient | null} */
    this.desk = null;
    this.said = h("div", { "aria-live": "polite", id: "replies-said" });
    this.list = h("div", { id: "kept-replies" });
    this.heading = h("h2", { tabindex: "-1" }, t("sayings.kept"));
    this.listed = "";
    /** @type {string | null} */
    this.chosen = null;
    this.forms = h("div");
    this.node = h("div", {}, this.said, this.list, this.forms);
    /** @type {Change} */
    this.change = (change, done) => this.#change(change, done);
    this.recording = new RecordingForm(this.change, context.left);
    this.text = textForm(this.change);
    context.left.addEventListener("abort", () => this.desk?.close());
  }

  async open() {
    const { ready, left } = this.context;
    fill(this.said, h("p", { class: "state", role: "status" }, t("sayings.asking")));
    fill(this.list, skeleton(3));
    fill(this.forms);
    const desk = (this.desk = new ReplyClient(ready, this.device));
    try {
      const list = await desk.open();
      if (left.aborted) return desk.close();
      desk.onOver = () => desk === this.desk && !left.aborted && this.#over(t("sayings.over"));
      fill(this.said);
      this.#show(list);
    } catch (error) {
      desk.close();
      if (!left.aborted) this.#refuse(error);
    }
  }

  /** @type {Change} */
  async #change(change, done) {
    const { desk } = this;
    if (desk === null) return false;
    fill(this.said);
    try {
      const list = await change(desk);
      if (desk.pending > 0) return true; // the next change is on its way; its answer is shown
      this.#show(list);
      fill(this.said, h("p", { class: "notice", role: "status" }, done));
      return true;
    } catch (error) {
      console.warn(error);
      if (!(error instanceof ReplyError)) throw error;
      if (error.reason !== "unreachable") fill(this.said, warning(error));
      this.#choose(this.chosen);
      return false;
    } finally {
      this.said.scrollIntoView({ block: "nearest" }); // what was pressed may be far below
    }
  }

  /** Shows the list; what hasn't changed stays, with the keyboard's place and what is being asked there. @param {ReplyList} list */
  #show(list) {
    const { replies, most } = list;
    const listed = JSON.stringify(replies);
    if (listed === this.listed && this.list.contains(this.heading)) return this.#choose(list.default);
    const hadFocus = this.list.contains(document.activeElement);
    this.listed = listed;
    const rows = replies.map((reply) => this.#row(reply));
    fill(
      this.list,
      this.heading,
      rows.length > 0 ? h("ul", { class: "rows" }, rows) : h("p", { class: "empty" }, t("sayings.none")),
      rows.length > 0 && this.#defaults(list),
    );
    this.#choose(list.default);
    if (hadFocus) this.heading.focus();
    const isFull = replies.length >= most;
    if (isFull) return fill(this.forms, h("p", { class: "muted" }, t("sayings.full", { most })));
    if (!this.forms.contains(this.text)) fill(this.forms, this.recording.node, this.text);
  }

  /** @param {KeptReply} reply */
  #row(reply) {
    const { id, name, kind, text } = reply;
    const place = h("div", { class: "actions" });
    const ask = () => {
      const yes = h("button", { "data-testid": "delete-yes", onclick: () => this.#delete(reply) }, t("sayings.delete_yes"));
      fill(place, yes, h("button", { class: "quiet", onclick: offer }, t("sayings.delete_no")));
      yes.focus();
    };
    const offer = () => fill(place, h("button", { "data-testid": "delete", "aria-label": t("sayings.delete_label", { name }), onclick: ask }, t("sayings.delete")));
    offer();
    const what = kind === "recording" ? t("sayings.recording") : t("sayings.spoken", { text });
    return h("li", { "data-testid": "kept", "data-id": id }, h("div", { class: "grow" }, h("strong", {}, name), h("span", { class: "muted" }, what)), place);
  }

  /** @param {KeptReply} reply */
  #delete({ id, name }) {
    void this.#change((desk) => desk.remove(id), t("sayings.deleted", { name }));
  }

  /** What is said when nobody answers. @param {ReplyList} list */
  #defaults({ replies, after_s }) {
    const option = (/** @type {string | null} */ id, /** @type {string} */ words) => {
      const input = h("input", { type: "radio", name: "default-reply", value: id ?? "" });
      input.addEventListener("change", () => this.change((desk) => desk.setDefault(id), t("sayings.chosen")));
      return h("label", {}, input, " ", words);
    };
    return h(
      "fieldset",
      { id: "default-reply" },
      h("legend", {}, t("sayings.default")),
      option(null, t("sayings.default_none")),
      replies.map(({ id, name }) => option(id, name)),
      h("p", { class: "hint" }, after_s > 0 ? t("sayings.default_after", { seconds: after_s }) : t("sayings.default_never")),
    );
  }

  /** Marks what is said when nobody answers. @param {string | null} chosen */
  #choose(chosen) {
    this.chosen = chosen;
    for (const input of this.list.querySelectorAll("input")) input.checked = input.value === (chosen ?? "");
  }

  /** @param {unknown} error */
  #refuse(error) {
    console.warn(error);
    fill(this.list);
    if (error instanceof ReplyError) return this.#over(null, error);
    const { node, canTryAgain } = refusal(error, this.device);
    fill(this.said, node, canTryAgain && this.#again());
  }

  /** @param {string | null} words @param {ReplyError} [error] */
  #over(words, error) {
    this.desk = null;
    this.recording.stop();
    fill(this.said, error ? warning(error) : h("p", { class: "notice", role: "status" }, words), this.#again());
    fill(this.list);
    fill(this.forms);
  }

  #again() {
    return h("button", { class: "primary", id: "replies-again", onclick: () => this.open() }, t("live.again"));
  }
}

/** @param {ReplyError} error */
function warning({ reason, message }) {
  const known = `sayings.error.${reason}`;
  return h("p", { class: "warning", role: "alert", "data-reason": reason }, hasText(known) ? t(known, { detail: message }) : message);
}
