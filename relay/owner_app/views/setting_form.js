/**
 * A short page's signed settings: changed together, signed once, and followed until the doorbell
 * says that they count. What was saved stays said until the next change.
 *
 * Settings are one whole document with a rising number: two owners who change them at the same time
 * can't undo each other's unseen; the second is told what the first changed, and decides.
 * @module
 */
import { preferencesOf, settingsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { SIGNED, valueText } from "../setting_fields.js";
import { sendStatement } from "../statements.js";
import { changed, inForce, nextSettings, widened } from "../vendor/protocol/decisions.js";
import { guarded } from "./parts.js";
import { standing, statementProgress } from "./progress.js";
import { settingField } from "./setting_field.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").OwnerSettings} OwnerSettings */
/** @typedef {import("../vendor/protocol/documents.js").SettingKey} SettingKey */
/** @typedef {Partial<Record<SettingKey, unknown>>} Changes */
/** @typedef {{digest: string, base: OwnerSettings | null, changes: Changes}} Sent */

/** What was signed in this visit, by doorbell and page. @type {Map<string, Sent>} */
const SENT = new Map();

export class SettingForm {
  /**
   * @param {Context} context @param {string} device
   * @param {{name: string, keys: SettingKey[], drawing?: (form: SettingForm) => Node}} page `drawing` stands before the other fields, and changes what is drawn
   */
  constructor(context, device, { name, keys, drawing }) {
    this.context = context;
    this.device = device;
    this.keys = keys;
    this.drawing = drawing;
    this.sentAs = `${device} ${name}`;
    /** @type {Changes} */
    this.changes = {};
    this.problem = "";
    this.fields = h("div");
    this.widening = h("p", { class: "hint", role: "status", id: "widening" });
    this.said = h("div", { "aria-live": "polite", id: "setting-said" });
    this.button = h("button", { class: "primary", id: "save-settings" }, t("settings.save"));
    const save = guarded(this.said, () => this.#save());
    this.form = h("form", { id: "settings-form", onsubmit: save }, this.fields, this.widening, h("div", { class: "actions" }, this.button));
    this.node = h("section", { id: "settings" }, this.form, this.said);
    this.shown = "";
    this.drawn = "";
    this.#look();
    context.household.addEventListener("change", () => this.#look(), { signal: context.left });
  }

  /** What counts at the doorbell, as far as this browser was told. */
  get now() {
    return settingsOf(this.context.household, this.device);
  }

  get file() {
    return preferencesOf(this.context.household, this.device)?.file ?? null;
  }

  /** A value as it stands on the page. @param {SettingKey} key */
  value(key) {
    return this.changes[key] ?? (SIGNED[key].kind === "drawn" ? this.now.settings?.[key] : inForce(this.now.settings, this.file, key));
  }

  /** Takes a change; `problem` says why it can't be saved so. @param {SettingKey} key @param {unknown} value @param {string} [problem] */
  change(key, value, problem = "") {
    this.changes[key] = value;
    this.problem = problem;
    const sent = SENT.get(this.sentAs);
    if (sent !== undefined && standing(this.context.household, sent.digest) === "done") SENT.delete(this.sentAs);
    this.#say();
  }

  /** Whether this doorbell has a setting, as far as it was told. @param {SettingKey} key */
  knows(key) {
    return this.file === null || key in this.file.settings;
  }

  /** Takes what was found for an owner: the field says it, and they can still change it. @param {SettingKey} key @param {string} value */
  fill(key, value) {
    const field = this.fields.querySelector(`#setting-${key.replaceAll("_", "-")}`);
    if (!(field instanceof HTMLInputElement)) return;
    field.value = value;
    field.dispatchEvent(new Event("input"));
  }

  /** Draws anew where something changed, and leaves alone what an owner is just filling in. */
  #look() {
    const isTouched = Object.keys(this.changes).length > 0;
    const now = JSON.stringify([this.now.settings, this.file]);
    if (!isTouched && now !== this.drawn) this.#draw();
    this.drawn = isTouched && this.drawn !== "" ? this.drawn : now;
    this.#say(isTouched && now !== this.drawn);
  }

  #draw() {
    const { file } = this;
    const plain = this.keys.filter((key) => SIGNED[key].kind !== "drawn");
    const known = plain.filter((key) => this.knows(key));
    const fields = known.map((key) =>
      settingField({
        key,
        field: SIGNED[key],
        value: this.value(key),
        onchange: (value) => this.change(key, value),
        most: key === "pre_roll_ms" ? file?.longest_pre_roll_ms : undefined,
      }),
    );
    const isOld = known.length < plain.length;
    fill(this.fields, this.drawing?.(this), fields, isOld && h("p", { class: "notice" }, t("settings.too_old")));
  }

  async #save() {
    const { settings } = this.now;
    const changes = this.changes;
    const digest = await sendStatement(this.context.household, this.device, { kind: "settings", settings: nextSettings(settings, changes) });
    SENT.set(this.sentAs, { digest, base: settings, changes });
    this.changes = {};
    this.drawn = JSON.stringify([settings, this.file]); // what was filled in stays there while it is on its way
    this.#say();
  }

  /** @param {boolean} [isMeanwhile] somebody changed something while this is being filled in */
  #say(isMeanwhile = false) {
    const { household } = this.context;
    const sent = SENT.get(this.sentAs);
    const state = sent && standing(household, sent.digest);
    const { settings, atMs } = this.now;
    const isTouched = Object.keys(this.changes).length > 0;
    this.button.disabled = !isTouched || this.problem !== "";
    const after = nextSettings(settings, this.changes);
    const wider = isTouched ? widened(settings, after, this.file) : [];
    fill(this.widening, this.problem || (wider.length > 0 && t("settings.waits_for_door")));
    const key = JSON.stringify([state, sent?.digest, settings?.revision, atMs, isTouched, isMeanwhile]);
    if (key === this.shown) return;
    this.shown = key;
    if (isMeanwhile) fill(this.said, h("p", { class: "notice", id: "changed-meanwhile" }, t("settings.changed_meanwhile")));
    else if (sent === undefined || state === undefined) fill(this.said, this.#since());
    else if (state === "done") fill(this.said, h("p", { class: "ok", id: "settings-saved", role: "status" }, t("settings.saved"), " ", this.#since()));
    else if (state === "refused" && this.#isConflict(sent)) fill(this.said, this.#conflict(sent));
    else fill(this.said, statementProgress(household, sent.digest, () => this.#restart(), "settings", this.device));
  }

  /** Since when what stands here counts at the doorbell, by its own word. */
  #since() {
    const { settings, atMs } = this.now;
    if (settings === null) return h("span", { class: "muted", id: "never-set" }, t("settings.never_set"));
    return atMs > 0 && h("span", { class: "muted", id: "in-force-since" }, t("settings.since"), " ", time(atMs));
  }

  #restart() {
    SENT.delete(this.sentAs);
    this.changes = {};
    this.#draw();
    this.drawn = JSON.stringify([this.now.settings, this.file]);
    this.#say();
  }

  /** @param {Sent} sent */
  #isConflict({ digest }) {
    const body = this.context.household.notesOn(digest).at(-1)?.note.body;
    return body?.type === "statement_refused" && body.reason === "settings";
  }

  /** Somebody else was faster: what they changed is shown, beside what this owner wanted. @param {Sent} sent */
  #conflict({ base, changes }) {
    const { settings: now } = this.now;
    const isKnown = now !== null && now.revision > (base?.revision ?? 0);
    const theirs = isKnown ? changed(base, now, this.file) : [];
    const keys = [...new Set([...theirs, .../** @type {SettingKey[]} */ (Object.keys(changes))])];
    const said = (/** @type {SettingKey} */ key, /** @type {OwnerSettings | null} */ settings) => valueText(key, inForce(settings, this.file, key));
    const rows = keys.map((key) =>
      h("tr", {}, h("th", { scope: "row" }, t(`setting.${key}`)), h("td", {}, said(key, now)), h("td", {}, key in changes ? valueText(key, changes[key]) : "–")),
    );
    const again = () => {
      SENT.delete(this.sentAs);
      this.changes = changes;
      this.#draw();
      this.drawn = JSON.stringify([this.now.settings, this.file]);
      this.#say();
      this.button.focus();
    };
    return h(
      "div",
      { class: "warning", id: "settings-conflict", role: "alert" },
      h("h2", {}, t("settings.conflict")),
      h("p", {}, t(isKnown ? "settings.conflict_help" : "settings.conflict_unknown")),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, t("settings.theirs")), h("th", { scope: "col" }, t("settings.yours")))), h("tbody", {}, rows))),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", id: "keep-theirs", onclick: () => this.#restart() }, t("settings.keep_theirs")),
        isKnown && h("button", { type: "button", id: "use-mine", onclick: again }, t("settings.use_mine")),
      ),
    );
  }
}
