/**
 * The groups of a doorbell's settings, each a list of rows that lead to short pages. What counts is
 * what the doorbell said in its sealed notes.
 * @module
 */
import { rows } from "../components/rows.js";
import { preferencesOf, settingsOf, warningsOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { exportNoteText } from "../export_notes.js";
import { hasText, t, time } from "../i18n.js";
import { PREFERRED, SHORT_PAGES, SIGNED, valueText } from "../setting_fields.js";
import { inForce } from "../vendor/protocol/decisions.js";
import { noticeSection } from "./door_notice.js";
import { doorLink, lockedText } from "./door_link.js";
import { exportSection } from "./export.js";
import { approversSection, recoverySection } from "./keys.js";
import { unknownDoorbell } from "./no_doorbell.js";
import { known, living } from "./parts.js";
import { PlaceFinder } from "./place_finder.js";
import { PreferenceForm } from "./preference_form.js";
import { SettingForm } from "./setting_form.js";
import { holdsSection, refusedSection } from "./settings_lists.js";
import { ZonesEditor } from "./zones_editor.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../setting_fields.js").ShortPage} ShortPage */
/** @typedef {keyof typeof SHORT_PAGES} Group */

/** @param {Group} group @returns {import("../app.js").View} */
const pageOf = (group) => (context) => groupPage(context, group);
export const doorbellPage = pageOf("doorbell");
export const cameraPage = pageOf("camera");
export const policePage = pageOf("police");
export const dataPage = pageOf("data");

/** @param {Context} context @param {Group} group @returns {Promise<import("../app.js").Page>} */
async function groupPage(context, group) {
  const { household, parts } = context;
  await known(household);
  await household.reading;
  const title = t(`settings.group.${group}`);
  const bell = household.doorbell(parts[0] ?? household.doorbells[0]?.device);
  if (bell === undefined) return { title, body: unknownDoorbell(context, parts[0]) };
  const short = SHORT_PAGES[group].find(({ name }) => name === parts[1]);
  if (short !== undefined) return shortPage(context, group, bell, short);
  const others = household.doorbells.filter((one) => one !== bell);
  const links = others.map((one) => h("a", { class: "button", href: `#/settings/${group}/${one.device}` }, one.name));
  return {
    title,
    body: [
      back("#/settings", t("settings.title")),
      h("p", { class: "lead" }, t("settings.of", { door: bell.name })),
      links.length > 0 && h("div", { class: "actions" }, links),
      knownSince(context, bell),
      warnings(context, bell.device),
      living(context, () => [rows([...SHORT_PAGES[group].map((one) => rowOf(context, group, bell, one)), ...more(group, bell)])]),
      group === "doorbell" && atTheDoor(context, bell),
    ].filter((one) => one instanceof Node),
  };
}

/** @param {Context} context @param {Group} group @param {Doorbell} bell @param {ShortPage} page */
function shortPage(context, group, bell, { name, signed, preferred }) {
  const { device } = bell;
  const help = `settings.page.${name}.help`;
  const form = signed && new SettingForm(context, device, { name, keys: signed, drawing: DRAWN[name]?.(context, device) });
  return {
    title: t(`settings.page.${name}`),
    body: [
      back(`#/settings/${group}/${device}`, t(`settings.group.${group}`)),
      knownSince(context, bell),
      hasText(help) && h("p", {}, t(help)),
      name === "keep" && cardHolds(context, device),
      form?.node,
      name === "keep" && h("p", {}, h("a", { href: "#/account/events" }, t("retention.title"))),
      name === "notice" && form && noticeSection(context, bell, form),
      preferred && new PreferenceForm(context, bell, preferred).node,
      name === "answer" && h("p", {}, h("a", { class: "button", href: `#/replies/${device}` }, t("sayings.title"))),
      name === "asking" && h("p", {}, h("a", { href: `#/settings/doorbell/${device}/place` }, t("settings.to_place"))),
      name === "hidden" && refusedSection(context, device),
      name === "holds" && holdsSection(context, device),
      name === "export" && exportSection(context, bell),
      name === "paper" && recoverySection(context, device),
      name === "advanced" && approversSection(context, device),
    ].filter((one) => one instanceof Node),
  };
}

/** What stands before a page's fields, and changes them. @type {Record<string, (context: Context, device: string) => (form: SettingForm) => Node>} */
const DRAWN = {
  zones: (context, device) => (form) => editor(context, device, form),
  place: ({ left }) => (form) => (form.knows("cell") ? new PlaceFinder(left, (cell) => form.fill("cell", cell)).node : h("div")),
};

/** @param {Context} context @param {string} device @param {SettingForm} form */
function editor(context, device, form) {
  const { settings } = form.now;
  return new ZonesEditor(context, device, {
    masks: settings?.masks ?? [],
    zones: settings?.zones ?? [],
    hasFileZones: settings?.zones === undefined && (form.file?.zone_count ?? 0) > 0,
    onChange: (layer, value, problem) => form.change(layer, value, problem),
  }).node;
}

/** A row with what is set behind it. @param {Context} context @param {Group} group @param {Doorbell} bell @param {ShortPage} page @returns {import("../components/rows.js").Row} */
function rowOf({ household }, group, { device }, { name, signed, preferred }) {
  const { settings } = settingsOf(household, device);
  const told = preferencesOf(household, device);
  const file = told?.file ?? null;
  const figures = (signed ?? []).filter((key) => SIGNED[key].kind !== "switch").slice(0, 3);
  const [first] = figures.length > 0 ? [] : (signed ?? []);
  const said = [
    ...(first === undefined ? [] : [`${t(`setting.${first}`)}: ${valueText(first, inForce(settings, file, first))}`]),
    ...figures.map((key) => valueText(key, SIGNED[key].kind === "drawn" ? settings?.[key] : inForce(settings, file, key))),
    ...(preferred ?? []).slice(0, 2).map((key) => valueText(key, told?.preferences[key] ?? file?.preferences[key])),
  ];
  const isUnknown = (signed || preferred) && file === null && settings === null;
  return { id: `to-${name}`, title: t(`settings.page.${name}`), more: isUnknown ? t("setting.unknown") : said.join(" · "), href: `#/settings/${group}/${device}/${name}` };
}

/** @param {Group} group @param {Doorbell} bell @returns {import("../components/rows.js").Row[]} */
function more(group, { device }) {
  if (group === "doorbell") {
    return [
      { id: "to-wifi", title: t("wifi.title"), more: t("settings.wifi_help"), href: `#/wifi/${device}` },
      { id: "quick-replies", title: t("sayings.title"), href: `#/replies/${device}` },
    ];
  }
  if (group === "data") {
    return [
      { id: "to-event-retention", title: t("retention.title"), more: t("retention.more"), href: "#/account/events" },
      { id: "to-delete-account", title: t("account.delete.title"), more: t("account.delete.more"), href: "#/account/delete" },
    ];
  }
  return [];
}

/** @param {Context} context @param {Doorbell} bell */
function atTheDoor(context, bell) {
  return h("section", {}, h("h2", {}, t("settings.at_the_door")), h("p", {}, t("settings.at_the_door_help")), doorLink(context, bell));
}

/** How long recordings fit on the card, by the doorbell's own measure. @param {Context} context @param {string} device */
function cardHolds(context, device) {
  const { household } = context;
  return living(context, () => {
    const days = household.doorbell(device)?.health?.health.holds_days;
    const text = typeof days === "number" ? t("settings.card_holds", { count: days }) : t("settings.card_not_known");
    return [h("p", { id: "card-holds" }, text)];
  });
}

/** Says where relay or doorbell can't be reached what is shown, and since when. @param {Context} context @param {Doorbell} bell */
function knownSince(context, { device }) {
  const { household } = context;
  return living(context, () => {
    const bell = household.doorbell(device);
    if (!household.hasContact) {
      const since = household.lostContactMs || household.asOfMs;
      return [h("p", { class: "notice", id: "known-since", role: "status" }, t("settings.relay_away"), " ", since > 0 && time(since))];
    }
    if (bell?.state !== "offline") return [];
    return [h("p", { class: "notice", id: "known-since", role: "status" }, t("settings.door_away"), " ", time(bell.since_ms))];
  });
}

/** @param {string} href @param {string} words */
function back(href, words) {
  return h("p", { class: "back" }, h("a", { href }, `‹ ${words}`));
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
  if (body.type === "export_now") return exportNoteText(body);
  return ownerGone(body);
}

/** @param {import("../vendor/protocol/documents.js").NoteBody} body */
function ownerGone(body) {
  if (body.type !== "owner_removed") return "";
  const { name, by_name } = body;
  return t(name === by_name ? "settings.owner_left" : "settings.owner_removed", { name, by: by_name });
}
