/**
 * A short page's preferences: each is sent at once, by this browser's session key, and followed
 * until the doorbell says that it counts.
 * @module
 */
import { thisBrowser } from "../account.js";
import { preferencesOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { NoOwnWord, sendOrder } from "../orders.js";
import { PREFERRED } from "../setting_fields.js";
import { isOwnStatement, trustedKeys } from "../trust.js";
import { problem } from "./parts.js";
import { settingField } from "./setting_field.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../setting_fields.js").PreferenceKey} PreferenceKey */
/** @typedef {import("../vendor/protocol/documents.js").Preferences} Preferences */

/** So long after the last key a text is sent, and a slider's place. */
const SEND_AFTER_MS = 800;

export class PreferenceForm {
  /** @param {Context} context @param {Doorbell} doorbell @param {PreferenceKey[]} keys */
  constructor(context, doorbell, keys) {
    this.context = context;
    this.doorbell = doorbell;
    this.keys = keys;
    this.fields = h("div");
    this.said = h("div", { "aria-live": "polite", id: "preference-said" });
    this.node = h("section", { id: "preferences" }, this.fields, this.said);
    /** What is on its way, or was taken. @type {Preferences} */
    this.sent = {};
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.drawn = "";
    this.#look();
    context.household.addEventListener("change", () => this.#look(), { signal: context.left });
    context.left.addEventListener("abort", () => this.timer !== undefined && void this.#send());
  }

  get #now() {
    return preferencesOf(this.context.household, this.doorbell.device);
  }

  #look() {
    const now = this.#now;
    const drawn = JSON.stringify(now);
    if (drawn === this.drawn || this.timer !== undefined || this.fields.contains(document.activeElement)) {
      if (drawn !== this.drawn) this.#say();
      return;
    }
    this.drawn = drawn;
    const known = this.keys.filter((key) => now === null || key in now.file.preferences);
    const isUseful = (/** @type {PreferenceKey} */ key) => !((key === "volume_percent" && now?.file.has_sound === false) || (key === "light_percent" && now?.file.has_light === false));
    fill(
      this.fields,
      known.filter(isUseful).map((key) =>
        settingField({ key, field: PREFERRED[key], value: now?.preferences[key] ?? now?.file.preferences[key], onchange: (value) => this.#change(key, value) }),
      ),
      known.length < this.keys.length && h("p", { class: "notice" }, t("settings.too_old")),
    );
    this.#say();
  }

  /** @param {PreferenceKey} key @param {unknown} value */
  #change(key, value) {
    this.sent = { ...this.sent, [key]: value };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.#send(), SEND_AFTER_MS);
    fill(this.said, h("p", { class: "muted" }, t("settings.sending")));
  }

  async #send() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { household, relay } = this.context;
    const { device, name, identity_key } = this.doorbell;
    const preferences = this.sent;
    try {
      const { sealing_key } = trustedKeys(household, device);
      const known = { device, name, identity_key, sealing_key, is_own_word: isOwnStatement(device) };
      await sendOrder(relay, await thisBrowser(household.owner), known, { type: "set_preference", preferences, default_reply: null });
      this.#say(true);
    } catch (error) {
      console.warn("preferences", error);
      const why = error instanceof NoOwnWord ? h("p", { class: "warn-text", role: "alert" }, t("settings.never_told")) : problem(error);
      fill(this.said, why, h("p", {}, t("settings.not_sent")));
    }
  }

  /** @param {boolean} [isTaken] the doorbell has just taken it */
  #say(isTaken = false) {
    const now = this.#now;
    if (now === null) return fill(this.said, h("p", { class: "muted", id: "never-told" }, t("settings.never_told")));
    const taken = Object.entries(this.sent);
    const isDone = taken.length > 0 && (isTaken || taken.every(([key, value]) => now.preferences[/** @type {PreferenceKey} */ (key)] === value));
    const late = now.after_restart.filter((key) => this.keys.includes(/** @type {PreferenceKey} */ (key)));
    fill(
      this.said,
      isDone && h("p", { class: "ok", id: "preference-saved", role: "status" }, t("settings.saved_here")),
      now.at_ms > 0 && h("p", { class: "muted", id: "in-force-since" }, t("settings.since"), " ", time(now.at_ms)),
      late.length > 0 && h("p", { class: "notice", id: "after-restart" }, t("settings.after_restart", { what: late.map((key) => t(`setting.${key}`)).join(", ") })),
    );
  }
}
