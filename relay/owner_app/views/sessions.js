/**
 * The page of the owner's sessions, from the relay, beside the browsers that their doorbells
 * admit: two lists that are easily confused.
 * @module
 */
import { ApiError } from "../api.js";
import { fill, h, skeleton } from "../dom.js";
import { t, time, timeText } from "../i18n.js";
import { browsersSection } from "./browsers.js";
import { guarded, problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{id: string, browser: string, address: string, created_ms: number, seen_ms: number, is_this: boolean}} Session */

const SHOWN_AT_FIRST = 5;

/** @param {Context} context */
export function sessionsPage(context) {
  return {
    title: t("sessions.title"),
    isWide: true,
    body: [
      h("p", { class: "lead" }, t("sessions.lead")),
      h("div", { class: "beside" }, new SignedIn(context).node, browsersSection(context, t("sessions.door"))),
    ],
  };
}

class SignedIn {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.heading = h("h2", { tabindex: -1 }, t("sessions.relay", { relay: context.config.relay_name }));
    this.list = h("div", {}, skeleton(2));
    this.said = h("div", { "aria-live": "polite" });
    this.node = h("section", { id: "signed-in" }, this.heading, h("p", {}, t("sessions.relay_help")), this.list, this.said);
    void this.#load();
  }

  async #load() {
    const { relay, left } = this.context;
    try {
      const { sessions } = await relay.get("sessions");
      fill(this.list, this.#rows(sessions));
    } catch (error) {
      const again = h("button", { onclick: () => this.#load() }, t("error.again"));
      if (!left.aborted) fill(this.list, problem(error), again);
    }
  }

  /** @param {Session[]} sessions this browser's first, then the one used last */
  #rows(sessions) {
    const own = sessions.filter((one) => one.is_this);
    const all = [...own, ...sessions.filter((one) => !one.is_this)].map((one) => this.#row(one));
    const more = all.splice(SHOWN_AT_FIRST);
    const folded = more.length > 0 && h("details", {}, h("summary", {}, t("sessions.more", { count: more.length })), h("ul", { class: "rows" }, more));
    const others = h("button", { id: "end-others", onclick: this.#ending("sessions?keep_this=true", "sessions.others_ended") }, t("sessions.end_others"));
    const everywhere = h("button", { id: "end-everywhere", onclick: this.#endEverywhere() }, t("sessions.end_all"));
    return [
      h("ul", { class: "rows", id: "sessions" }, all),
      folded,
      h("div", { class: "actions" }, sessions.length > 1 && others, everywhere),
      h("p", {}, h("a", { id: "to-delete-account", href: "#/account/delete" }, t("account.delete.title"))),
    ];
  }

  /** @param {Session} session */
  #row({ id, browser, address, created_ms, seen_ms, is_this }) {
    const name = browser || t("sessions.unknown");
    const end = is_this ? () => this.context.signOut() : this.#ending(`sessions/${id}`, "sessions.ended", { name });
    const label = is_this ? t("sessions.end_here") : t("sessions.end_label", { name, time: timeText(seen_ms) });
    return h(
      "li",
      { "data-testid": "session", "data-session": id },
      h(
        "div",
        { class: "grow" },
        h("strong", {}, is_this ? t("browsers.here", { name }) : name),
        !is_this && h("p", { class: "muted" }, t("sessions.seen"), " ", time(seen_ms)),
        h("p", { class: "muted" }, t("sessions.since"), " ", time(created_ms)),
        address && h("p", { class: "muted" }, t("sessions.from", { address })),
      ),
      h("button", { "aria-label": label, onclick: end }, t("sessions.end")),
    );
  }

  /** One that is over already is over. @param {string} path @param {string} said @param {Record<string, string>} [values] */
  #ending(path, said, values) {
    return guarded(this.said, async () => {
      await this.context.relay.delete(path).catch((error) => {
        if (!(error instanceof ApiError && error.code === "not_found")) throw error;
      });
      fill(this.said, h("p", { class: "notice", id: "session-said" }, t(said, values)));
      await this.#load();
      this.heading.focus(); // the button may be gone
    });
  }

  /** This browser's own is over then, too: nothing can be told to the relay afterwards. */
  #endEverywhere() {
    return guarded(this.said, async () => {
      await this.context.relay.delete("sessions");
      this.context.signOut({ isKnown: false });
    });
  }
}
