/**
 * Buttons for quick replies during live view.
 * @module
 */
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";

/** @typedef {import("../live_control.js").QuickReply} QuickReply */
/** @typedef {import("../live_control.js").LiveControl} LiveControl */

/** An error that comes so soon after a press is about it. */
const ANSWER_MS = 3000;

export class QuickReplies {
  /** @param {string} device whose they are */
  constructor(device) {
    /** @type {LiveControl | null} */
    this.control = null;
    this.askedMs = -Infinity;
    this.list = h("div", { class: "replies" });
    this.words = h("p", { class: "muted", role: "status" });
    const change = h("p", {}, h("a", { id: "change-replies", href: `#/replies/${device}` }, t("replies.change")));
    this.panel = h("div", { id: "replies", hidden: true }, this.list, this.words, change);
    this.button = h("button", { id: "reply", disabled: true, "aria-expanded": "false", "aria-controls": "replies" }, t("replies.open"));
    this.button.addEventListener("click", () => this.#open(this.panel.hidden !== false));
  }

  /** @param {LiveControl} control */
  attach(control) {
    this.control = control;
    this.button.disabled = false;
  }

  detach() {
    this.control = null;
    this.button.disabled = true;
    this.#open(false);
  }

  /** @param {QuickReply[]} replies */
  show(replies) {
    const buttons = replies.map((reply) => {
      const say = () => this.#say(reply);
      return h("button", { "data-testid": "quick-reply", onclick: say }, reply.kind === "speech" ? `“${reply.name}”` : reply.name);
    });
    fill(this.list, buttons.length > 0 ? buttons : h("p", { class: "muted" }, t("replies.none")));
    fill(this.words, buttons.length > 0 && t("replies.lead"));
  }

  /** Takes an error that is about a reply. @param {string} reason @param {string} detail */
  failed(reason, detail) {
    if (performance.now() - this.askedMs > ANSWER_MS) return false;
    this.askedMs = -Infinity;
    const known = `replies.error.${reason}`;
    fill(this.words, hasText(known) ? t(known) : detail);
    return true;
  }

  /** @param {boolean} isOpen */
  #open(isOpen) {
    this.panel.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    fill(this.words, t("replies.asking"));
    this.control?.askForReplies();
  }

  /** @param {QuickReply} reply */
  #say(reply) {
    this.askedMs = performance.now();
    this.control?.reply(reply.id);
    fill(this.words, t("replies.said", { name: reply.name }));
  }
}
