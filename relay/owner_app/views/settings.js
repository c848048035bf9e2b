/**
 * The page of remote settings, one doorbell at a time: request notices, masks, holds, refused
 * agencies, keys, people. What counts is what the doorbell said in its sealed notes.
 *
 * Settings are one whole document with a rising number: two owners who change them at the same time
 * can't undo each other's unseen; the second is told, sees both, and decides.
 * @module
 */
import { settingsOf, warningsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nextSettings, widens } from "../vendor/protocol/decisions.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { doorLink, lockedText } from "./door_link.js";
import { keysSection } from "./keys.js";
import { MaskEditor, drawnMasks } from "./masks.js";
import { unknownDoorbell } from "./no_doorbell.js";
import { ownersSection } from "./owners.js";
import { guarded, terms } from "./parts.js";
import { standing, statementProgress } from "./progress.js";
import { holdsSection, refusedSection } from "./settings_lists.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").OwnerSettings} OwnerSettings */
/** @typedef {import("../vendor/protocol/documents.js").MaskPolygon} MaskPolygon */
/** @typedef {{digest: string, mine: OwnerSettings, base: OwnerSettings | null}} SentSettings */

const NAME_CHARS = 60;

/** @param {Context} context */
export async function settingsPage(context) {
  const { household, parts } = context;
  await household.heard();
  const { doorbells } = household;
  const device = parts[0] ?? doorbells[0]?.device;
  const bell = household.doorbell(device);
  if (bell === undefined) return { title: t("settings.title"), body: unknownDoorbell(context, parts[0]) };
  const others = doorbells.filter((one) => one !== bell);
  const links = others.map((one) => h("a", { class: "button", href: `#/settings/${one.device}` }, one.name));
  return {
    title: t("settings.title"),
    body: [
      h("p", { class: "lead" }, t("settings.lead", { door: bell.name })),
      ...(links.length ? [h("div", { class: "actions" }, links)] : []),
      warnings(context, device),
      new SettingsForm(context, device).node,
      holdsSection(context, device),
      refusedSection(context, device),
      keysSection(context, device),
      ownersSection(context, device),
      h("h2", {}, t("wifi.title")),
      h("p", {}, t("settings.wifi_help")),
      h("div", { class: "actions" }, h("a", { class: "button", id: "to-wifi", href: `#/wifi/${device}` }, t("settings.wifi"))),
      h("h2", {}, t("settings.at_the_door")),
      h("p", {}, t("settings.at_the_door_help")),
      doorLink(context, bell),
    ],
  };
}

/** Who is gone, that somebody used the recovery code or guessed at the door number: an owner must not miss it. @param {Context} context @param {string} device */
function warnings({ household, left }, device) {
  const place = h("div", { id: "warnings" });
  const draw = () => {
    const lines = warningsOf(household, device).map(({ note: { body }, time_ms }) => {
      return h("li", {}, warningText(body), " ", h("span", { class: "muted" }, time(time_ms)));
    });
    fill(place, lines.length > 0 && h("ul", { class: "warning", role: "status" }, lines.slice(0, 5)));
  };
  draw();
  household.addEventListener("change", draw, { signal: left });
  return place;
}

/** @param {import("../vendor/protocol/documents.js").NoteBody} body */
function warningText(body) {
  if (body.type === "recovery_used") return t("settings.recovery_used", { name: body.name });
  if (body.type === "door_locked") return lockedText(body);
  return ownerGone(body);
}

/** @param {import("../vendor/protocol/documents.js").NoteBody} body */
function ownerGone(body) {
  if (body.type !== "owner_removed") return "";
  const { name, by_name } = body;
  return t(name === by_name ? "settings.owner_left" : "settings.owner_removed", { name, by: by_name });
}

class SettingsForm {
  /** @param {Context} context @param {string} device */
  constructor(context, device) {
    this.context = context;
    this.device = device;
    this.said = h("div", { "aria-live": "polite" });
    this.place = h("div");
    this.node = h("section", { id: "settings" }, this.place, this.said);
    /** @type {SentSettings | null} */
    this.sent = null;
    this.shown = "";
    this.isTouched = false;
    this.#look();
    context.household.addEventListener("change", () => this.#look(), { signal: context.left });
  }

  /** Draws anew where something changed, and leaves alone what an owner is just filling in. */
  #look() {
    const { household } = this.context;
    const { settings } = settingsOf(household, this.device);
    const state = this.sent && standing(household, this.sent.digest);
    const now = JSON.stringify([settings?.revision, state]);
    if (now === this.shown) return;
    this.shown = now;
    if (this.sent === null) {
      if (this.isTouched) fill(this.said, h("p", { class: "notice", id: "changed-meanwhile", role: "status" }, t("settings.changed_meanwhile")));
      else this.#form(settings);
    } else if (state === "done") {
      this.sent = null;
      this.#form(settings);
      fill(this.said, h("p", { class: "ok", id: "settings-saved", role: "status" }, t("settings.saved")));
    } else if (state === "refused" && this.#isConflict()) this.#conflict(this.sent, settings);
    else fill(this.place, statementProgress(household, this.sent.digest, () => this.#restart(), "settings", this.device));
  }

  #restart() {
    this.sent = null;
    this.shown = "";
    this.isTouched = false;
    fill(this.said);
    this.#look();
  }

  /** @param {OwnerSettings | null} before @param {OwnerSettings} [proposed] */
  #form(before, proposed) {
    const { household } = this.context;
    const shown = proposed ?? before;
    this.isTouched = false;
    fill(this.said);
    const name = h("input", { id: "door-name", type: "text", maxlength: NAME_CHARS, autocomplete: "off", value: shown?.name ?? "", "aria-describedby": "about-name" });
    const [opted, reminder] = [check("opted-in", shown?.is_opted_in), check("reminder", shown?.has_reminder)];
    const editor = new MaskEditor(this.context, this.device, shown?.masks ?? []);
    const widening = h("p", { class: "hint", role: "status" });
    const written = () =>
      nextSettings(before, { name: withoutMisleading(name.value).trim(), is_opted_in: opted.checked, has_reminder: reminder.checked, masks: editor.masks });
    const touched = () => {
      this.isTouched = true;
      fill(widening, widens(before, written()) && t("settings.waits_for_door"));
    };
    for (const box of [opted, reminder]) box.addEventListener("change", touched);
    name.addEventListener("input", touched);
    editor.onChange = touched;
    const save = guarded(this.said, async () => {
      const base = before;
      const mine = written();
      const digest = await sendStatement(household, this.device, { kind: "settings", settings: mine });
      this.sent = { digest, mine, base };
      this.#look();
    });
    fill(
      this.place,
      before === null && h("p", { class: "muted", id: "never-set" }, t("settings.never_set")),
      h(
        "form",
        { id: "settings-form", onsubmit: save },
        h("label", { for: name.id }, t("settings.name")),
        name,
        h("p", { class: "hint", id: "about-name" }, t("settings.name_help")),
        h("h2", {}, t("settings.requests")),
        h("label", { for: opted.id }, opted, t("settings.opted_in")),
        h("p", { class: "hint" }, t("settings.opted_in_help")),
        h("label", { for: reminder.id }, reminder, t("settings.reminder")),
        h("p", { class: "hint" }, t("settings.reminder_help")),
        h("h2", {}, t("settings.masks")),
        h("p", {}, t("settings.masks_help")),
        editor.node,
        widening,
        h("div", { class: "actions" }, h("button", { class: "primary", id: "save-settings" }, t("settings.save"))),
      ),
    );
    if (proposed !== undefined) touched();
  }

  #isConflict() {
    const body = this.context.household.notesOn(this.sent?.digest ?? "").at(-1)?.note.body;
    return body?.type === "statement_refused" && body.reason === "settings";
  }

  /** Somebody else was faster: both are shown. @param {SentSettings} sent @param {OwnerSettings | null} now */
  #conflict({ mine, base }, now) {
    const isKnown = (now?.revision ?? 0) > (base?.revision ?? 0);
    const keep = () => this.#restart();
    const useMine = () => {
      this.sent = null;
      this.#form(now, mine);
      this.shown = JSON.stringify([now?.revision, null]);
    };
    const drawn = (/** @type {MaskPolygon[]} */ masks) => drawnMasks(this.context, this.device, masks);
    const sides = [said("settings.yours", mine, drawn), ...(isKnown && now ? [said("settings.theirs", now, drawn)] : [])];
    fill(
      this.place,
      h(
        "div",
        { class: "warning", id: "settings-conflict", role: "alert" },
        h("h2", {}, t("settings.conflict")),
        h("p", {}, t(isKnown ? "settings.conflict_help" : "settings.conflict_unknown")),
        h("div", { class: "pair" }, sides),
      ),
      h(
        "div",
        { class: "choice" },
        h("button", { id: "keep-theirs", onclick: keep }, t("settings.keep_theirs")),
        isKnown && h("button", { id: "use-mine", onclick: useMine }, t("settings.use_mine")),
      ),
    );
  }
}

/** @param {string} id @param {boolean | undefined} isOn */
function check(id, isOn) {
  return h("input", { type: "checkbox", id, checked: isOn === true });
}

/** One side of a conflict, in words and as a drawing. @param {string} title @param {OwnerSettings} settings @param {(masks: MaskPolygon[]) => SVGElement} drawn */
function said(title, { name, is_opted_in, has_reminder, masks }, drawn) {
  const yes = (/** @type {boolean} */ is) => t(is ? "settings.on" : "settings.off");
  return h(
    "div",
    {},
    h("h3", {}, t(title)),
    terms([
      ["settings.name", name || "–"],
      ["settings.requests", yes(is_opted_in)],
      ["settings.reminder", yes(has_reminder)],
      ["settings.masks", masks.length ? drawn(masks) : t("settings.no_masks")],
    ]),
  );
}
