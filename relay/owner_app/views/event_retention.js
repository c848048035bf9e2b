/**
 * How long the relay keeps the events of an owner's doorbells, by the owner's choice. What the
 * doorbell itself keeps is set at the doorbell, on other pages.
 * @module
 */
import { confirmSheet } from "../components/dialog.js";
import { fill, h, skeleton } from "../dom.js";
import { t } from "../i18n.js";
import { guarded, known, problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{days: number | null, least_days: number, most_days: number}} Retention `days` null: nothing is chosen */

const OFFERED = [30, 90, 180, 365];
/** A select's value where nothing is chosen. */
const NOTHING = "";

/** @param {Context} context @returns {Promise<import("../app.js").Page>} */
export async function eventRetentionPage(context) {
  const { household } = context;
  await known(household);
  const device = household.doorbells.find(({ guest }) => guest == null)?.device;
  return {
    title: t("retention.title"),
    body: [
      h("p", { class: "back" }, h("a", { href: "#/settings/data" }, `‹ ${t("settings.group.data")}`)),
      h("p", { class: "lead" }, t("retention.lead")),
      new RetentionForm(context).node,
      h("h2", {}, t("retention.also")),
      h(
        "ul",
        { id: "retention-also" },
        h("li", {}, t("retention.doorbell"), " ", device !== undefined && h("a", { href: `#/settings/doorbell/${device}/keep` }, t("settings.page.keep"))),
        ["retention.pictures", "retention.notes", "retention.lasting", "retention.others"].map((key) => h("li", {}, t(key))),
      ),
    ],
  };
}

class RetentionForm {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.said = h("div", { "aria-live": "polite", id: "retention-said" });
    this.place = h("div", {}, skeleton(2));
    this.node = h("section", { id: "retention" }, this.place, this.said);
    void this.#load();
  }

  async #load() {
    const { relay, left } = this.context;
    fill(this.said);
    try {
      /** @type {Retention} */
      const now = await relay.get("account/events");
      if (!left.aborted) this.#draw(now);
    } catch (error) {
      if (left.aborted) return;
      fill(this.place, h("div", { class: "actions" }, h("button", { type: "button", id: "retention-again", onclick: () => void this.#again() }, t("error.again"))));
      fill(this.said, problem(error));
    }
  }

  /** Whoever pressed the button stays where it was. */
  async #again() {
    await this.#load();
    if (!this.context.left.aborted) this.#focus();
  }

  #focus() {
    /** @type {HTMLElement | null} */ (this.place.querySelector("select, button"))?.focus();
  }

  /** @param {Retention} now */
  #draw(now) {
    const { days, least_days, most_days } = now;
    const chosen = days === null ? null : Math.min(days, most_days);
    const offered = [...new Set([...OFFERED, ...(chosen === null ? [] : [chosen])])].filter((one) => one >= least_days && one <= most_days).toSorted((a, b) => a - b);
    const select = h(
      "select",
      { id: "retention-days", "aria-describedby": "retention-about" },
      offered.map((one) => h("option", { value: one, selected: one === chosen }, t("setting.days", { count: one }))),
      h("option", { value: NOTHING, selected: chosen === null }, t("retention.usual", { count: most_days })),
    );
    const button = h("button", { class: "primary", id: "save-retention", disabled: true }, t("retention.save"));
    const wanted = () => (select.value === NOTHING ? null : Number(select.value));
    select.addEventListener("change", () => {
      fill(this.said);
      button.disabled = wanted() === chosen;
    });
    const save = guarded(this.said, async () => {
      // Where nothing is chosen the relay may keep a month more than it says.
      if (await this.#isSure(chosen ?? Infinity, wanted())) await this.#save({ ...now, days: wanted() });
    });
    fill(
      this.place,
      h(
        "form",
        { id: "retention-form", onsubmit: save },
        h("div", { class: "setting" }, h("label", { for: "retention-days" }, t("retention.days")), select, h("p", { class: "hint", id: "retention-about" }, t("retention.usual_help", { count: most_days }))),
        h("div", { class: "actions" }, button),
      ),
    );
  }

  /** What goes doesn't come back: that is asked first. @param {number} before @param {number | null} after */
  async #isSure(before, after) {
    if (after === null || after >= before) return true;
    return confirmSheet({
      title: t("retention.sure", { count: after }),
      body: h("p", {}, t("retention.sure_help")),
      yes: t("retention.yes"),
      no: t("retention.no"),
      isDangerous: true,
      id: "retention-sure",
    });
  }

  /** @param {Retention} wanted */
  async #save(wanted) {
    await this.context.relay.put("account/events", { days: wanted.days });
    this.#draw(wanted);
    const said = wanted.days === null ? t("retention.saved_usual", { count: wanted.most_days }) : t("retention.saved");
    fill(this.said, h("p", { class: "ok", id: "retention-saved", role: "status" }, said));
    this.#focus(); // the button has nothing to save any more
  }
}
