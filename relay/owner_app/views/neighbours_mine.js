/**
 * The page of one's own posts: whether a moderator has read them, why one was refused, and what can
 * be done about it.
 * @module
 */
import { confirmSheet } from "../components/dialog.js";
import { empty } from "../components/controls.js";
import { fill, h, skeleton } from "../dom.js";
import { Feed, FeedPictures, MAX_TEXT_CHARS } from "../feed.js";
import { t, timeWithin } from "../i18n.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { legalNotices } from "./legal_notices.js";
import { postBody, postPicture } from "./neighbour_post.js";
import { problem } from "./parts.js";
import { feedGuarded } from "./feed_problem.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../feed.js").OwnPost} OwnPost */
/** @typedef {import("../feed.js").District} District */

/** So long a browser may take to begin saving a file. */
const SAVING_MS = 60_000;

/** @param {Context} context */
export function minePage(context) {
  return { title: t("neighbours.mine"), body: [new OwnPosts(context).node] };
}

class OwnPosts {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.feed = new Feed(context.relay);
    this.pictures = new FeedPictures(this.feed, context.left);
    this.node = h("div", { id: "own-posts" }, skeleton(3));
    void this.#load();
  }

  async #load() {
    try {
      const [{ posts, notices }, districts] = await Promise.all([this.feed.mine(), this.feed.districts()]);
      if (this.context.left.aborted) return;
      const write = h("a", { class: "button primary", href: "#/neighbours/write" }, t("neighbours.write"));
      const legal = legalNotices(notices);
      if (posts.length === 0) return fill(this.node, legal, empty(t("neighbours.mine.none"), { icon: "neighbours", action: write }), keptData(this.feed));
      fill(this.node, legal, h("p", { class: "lead" }, t("neighbours.mine.lead")), h("ul", { class: "rows" }, posts.map((one) => this.#row(one, districts))), keptData(this.feed), back());
    } catch (error) {
      console.warn("own posts", error);
      if (this.context.left.aborted) return;
      fill(this.node, problem(error), h("button", { onclick: () => void this.#load() }, t("error.again")));
    }
  }

  /** @param {OwnPost} post @param {District[]} districts */
  #row(post, districts) {
    const district = districts.find(({ cells }) => cells.includes(post.cell));
    const said = h("div", { "aria-live": "polite" });
    const kind = t(`neighbours.kind.${post.kind}`);
    const state = h("span", { class: "state", "data-state": post.state === "published" ? "open" : post.state }, t(`neighbours.state.${post.state}`));
    const mayWithdraw = post.state === "waiting" || post.state === "published";
    return h(
      "li",
      { class: "post", "data-post": post.id, "data-post-state": post.state },
      postBody(post, district, {
        title: [state],
        pictures: post.pictures.map((id) => postPicture(id, this.pictures, t("neighbours.picture.of", { kind }))),
      }),
      h("p", { class: "muted" }, t("neighbours.mine.sent", { time: timeWithin(post.written_ms) })),
      post.state === "refused" && this.#refusal(post),
      said,
      mayWithdraw && h("button", { class: "quiet", "data-testid": "withdraw", onclick: feedGuarded(said, () => this.#withdraw(post)) }, t("neighbours.withdraw")),
    );
  }

  /** @param {OwnPost} post */
  #refusal(post) {
    const why = post.reason === null ? t("neighbours.refused.unknown") : t(`neighbours.refused.${post.reason}`);
    return h(
      "div",
      { class: "notice", "data-testid": "refused" },
      h("p", {}, why),
      post.words !== "" && h("p", {}, t("neighbours.refused.note", { note: post.words })),
      post.is_appealed && h("p", { "data-testid": "appealed" }, t(post.is_appeal_decided ? "neighbours.appeal_decided" : "neighbours.appealed")),
      post.appeal_until_ms !== null && this.#appeal(post),
    );
  }

  /** @param {OwnPost} post */
  #appeal({ id, appeal_until_ms }) {
    const said = h("div", { "aria-live": "polite" });
    const field = h("textarea", { id: `appeal-${id}`, required: true, maxlength: MAX_TEXT_CHARS, rows: 3 });
    const send = feedGuarded(said, async () => {
      const text = withoutMisleading(field.value).trim();
      if (text === "") return fill(said, h("p", { class: "warn-text", role: "alert" }, t("neighbours.appeal.needs_text")));
      await this.feed.appeal(id, text);
      await this.#load();
    });
    return h(
      "details",
      { "data-testid": "appeal" },
      h("summary", {}, t("neighbours.appeal")),
      h("p", { class: "hint" }, t("neighbours.appeal.help", { time: timeWithin(appeal_until_ms ?? 0) })),
      h("form", { onsubmit: send }, h("label", { for: field.id }, t("neighbours.appeal.text")), field, said, h("div", { class: "actions" }, h("button", { class: "primary" }, t("neighbours.appeal.send")))),
    );
  }

  /** @param {OwnPost} post */
  async #withdraw({ id, state }) {
    const isSure = await confirmSheet({
      title: t("neighbours.withdraw.title"),
      body: h("p", {}, t(`neighbours.withdraw.${state}`)),
      yes: t("neighbours.withdraw.yes"),
      no: t("neighbours.withdraw.no"),
      isDangerous: true,
      id: "withdraw-post",
    });
    if (!isSure) return;
    await this.feed.withdraw(id);
    await this.#load();
  }
}

/** All that the relay keeps of a member, to save; and the way to have it deleted. @param {Feed} feed */
function keptData(feed) {
  const said = h("div", { "aria-live": "polite" });
  const save = feedGuarded(said, async () => {
    const { feedExport } = await import("../feed_export.js");
    const href = URL.createObjectURL(await feedExport(feed));
    h("a", { href, download: "doorward-neighbours.json" }).click();
    setTimeout(() => URL.revokeObjectURL(href), SAVING_MS);
    fill(said, h("p", { role: "status" }, t("neighbours.export.saved")));
  });
  return h(
    "section",
    { class: "card", id: "kept-data" },
    h("h2", {}, t("neighbours.export")),
    h("p", { class: "muted" }, t("neighbours.export.help")),
    h("div", { class: "actions" }, h("button", { id: "save-data", onclick: save }, t("neighbours.export.save")), h("a", { class: "button", href: "#/account/delete" }, t("neighbours.export.delete"))),
    said,
  );
}

/** The way back to the list. */
function back() {
  return h("p", {}, h("a", { href: "#/neighbours" }, t("neighbours.back")));
}
