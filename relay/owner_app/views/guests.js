/**
 * Guests of a household: the link that invites one, letting in who asks, more time for them, and
 * ending their right.
 * @module
 */
import { guestKeys, rememberGuestKeys } from "../kept_keys.js";
import { knownBrowsers } from "../known_browsers.js";
import { confirmSheet, dialog } from "../components/dialog.js";
import { fill, h } from "../dom.js";
import { t, time, timeText } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { browserIdOf } from "../vendor/protocol/browsers.js";
import { parseCanonical } from "../vendor/protocol/encoding.js";
import { commitmentOf } from "../vendor/protocol/pairing.js";
import { DAY_MS, MAX_RIGHT_MS, givenRight } from "../vendor/protocol/rights.js";
import { guarded, living } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../known_browsers.js").KnownBrowser} KnownBrowser */
/** @typedef {import("../vendor/protocol/documents.js").What} What */
/** @typedef {import("./people.js").Join} Join */

/** How long a guest may be let in, in days. */
const LIVES = [1, 7, 30, 365];
/** @type {{what: What, isOn: boolean}[]} */
const PARTS = [
  { what: "live", isOn: true },
  { what: "rings", isOn: true },
  { what: "history", isOn: false },
];

/** @param {Context} context */
export function guestsSection(context) {
  const { household } = context;
  const said = h("div", { "aria-live": "polite" });
  const list = living(context, () => {
    const guests = knownBrowsers(household, nowMs()).filter(({ holder }) => holder === "guest");
    if (guests.length === 0) return [h("p", { class: "empty" }, t("guests.none"))];
    return [h("ul", { class: "rows", id: "guests" }, guests.map((one) => guestRow(context, one, said)))];
  });
  return h("section", { id: "guests-section" }, h("p", { class: "lead" }, t("guests.lead")), list, said, h("h2", {}, t("guests.invite")), h("p", {}, t("guests.invite_help")), invitation(context));
}

/** A link that is shared with a guest. @param {Context} context */
function invitation({ household, relay, relays, relayUrl }) {
  const place = h("div", { "aria-live": "polite" });
  const doors = household.doorbells.filter(({ guest }) => guest == null);
  const door = h("select", { id: "guest-door" }, doors.map(({ device, name }) => h("option", { value: device }, name)));
  const make = guarded(place, async () => {
    const made = await relay.post(`doorbells/${door.value}/invitations`);
    const query = new URLSearchParams({ door: door.value, invitation: made.invitation });
    if (relays.length > 1) query.set("relay", relayUrl); // else it would go to the one that the guest's browser is at
    const link = new URL(`#/guest?${query}`, location.href).href;
    const field = h("input", { id: "guest-link", readonly: true, type: "text" });
    field.value = link;
    field.addEventListener("focus", () => field.select());
    const copied = h("span", { class: "muted", role: "status" });
    const share = guarded(place, async () => {
      if (typeof navigator.share === "function") return navigator.share({ url: link, title: t("guests.share_title") });
      await navigator.clipboard.writeText(link);
      fill(copied, t("players.copied"));
    });
    fill(
      place,
      h("label", { for: "guest-link" }, t("guests.link")),
      field,
      h("div", { class: "actions" }, h("button", { class: "primary", id: "share-guest", onclick: share }, t("guests.share")), copied),
      h("p", { class: "hint" }, t("guests.link_until"), " ", time(made.expires_ms, "day"), ". ", t("guests.link_help")),
    );
  });
  return h(
    "div",
    {},
    doors.length > 1 && [h("label", { for: "guest-door" }, t("players.door")), door],
    h("div", { class: "actions" }, h("button", { id: "invite-guest", onclick: make }, t("guests.make_link"))),
    place,
  );
}

/** @param {Context} context @param {KnownBrowser} guest @param {HTMLElement} said */
function guestRow(context, guest, said) {
  const { household } = context;
  const { device, browser, name, by_name, what, from_ms, until_ms } = guest;
  const end = guarded(said, async () => {
    const body = h("p", {}, t("guests.end_help"));
    if (!(await confirmSheet({ title: t("guests.end_title", { name }), body, yes: t("guests.end"), no: t("guests.stay"), isDangerous: true }))) return;
    await sendStatement(household, device, { kind: "end_session", browser });
    fill(said, h("p", { class: "notice", role: "status" }, t("browsers.ending", { name })));
  });
  const parts = what.map((one) => t(`right.short.${one}`)).join(" · ");
  const hasBegun = from_ms <= nowMs();
  return h(
    "li",
    { "data-testid": "guest", "data-browser": browser },
    h(
      "div",
      { class: "grow" },
      h("strong", {}, name),
      h("p", { class: "muted" }, parts),
      h("p", { class: "muted" }, t("guests.by", { name: by_name })),
      h("p", { class: "muted" }, !hasBegun && [t("guests.from"), " ", time(from_ms), " "], t("browsers.until"), " ", time(until_ms)),
      guestKeys(device, browser) === null && h("p", { class: "hint" }, t("guests.more_elsewhere")),
    ),
    h(
      "div",
      { class: "actions" },
      guestKeys(device, browser) !== null && h("button", { id: `more-${browser}`, "aria-label": t("guests.more_label", { name }), onclick: guarded(said, () => giveMore(context, guest, said)) }, t("guests.more")),
      h("button", { id: `end-${browser}`, "aria-label": t("guests.end_label", { name }), onclick: end }, t("guests.end")),
    ),
  );
}

/**
 * Gives a guest a later end; the doorbell asks for its owner's word, as more time lets them see more.
 * @param {Context} context @param {KnownBrowser} guest @param {HTMLElement} said
 */
async function giveMore(context, guest, said) {
  const { household } = context;
  const { device, browser, name, what, from_ms, until_ms } = guest;
  const keys = guestKeys(device, browser);
  if (keys === null) return;
  const later = (/** @type {number} */ days) => Math.min(until_ms + days * DAY_MS, nowMs() + MAX_RIGHT_MS);
  const days = h("select", { id: "more-days" }, LIVES.map((one) => h("option", { value: one, selected: one === 7 }, t(`guests.days.${one}`))));
  const shown = h("p", { id: "more-until", role: "status" });
  const show = () => fill(shown, t("guests.more_until"), " ", time(later(Number(days.value))));
  days.addEventListener("change", show);
  show();
  const body = h("div", {}, h("label", { for: "more-days" }, t("guests.more_how_long")), days, shown);
  const buttons = [
    { text: t("guests.more_give"), value: "yes", kind: /** @type {const} */ ("primary") },
    { text: t("guests.more_not"), value: "no" },
  ];
  if ((await dialog({ title: t("guests.more_title", { name }), body, buttons, id: "more-time" }).closed) !== "yes") return;
  const right = { holder: /** @type {const} */ ("guest"), what, from_ms, until_ms: later(Number(days.value)) };
  const digest = await sendStatement(household, device, givenRight(keys, right, null));
  const isIn = () => knownBrowsers(household, nowMs()).some((one) => one.device === device && one.browser === browser && one.until_ms === right.until_ms);
  const done = () => h("p", { class: "ok", "data-testid": "guest-more", role: "status" }, t("guests.done", { name, time: timeText(right.until_ms) }));
  fill(said, living(context, () => (isIn() ? [done()] : statementProgress(household, digest, () => fill(said), "more", device))));
}

/**
 * Somebody who asks to be a guest: what, until when, and the signature.
 * @param {Context} context @param {Join} join
 */
export async function guestJoin(context, { device, reveal }) {
  const { household } = context;
  /** @type {{pairing_id: string, browser: import("../vendor/protocol/documents.js").BrowserKeys}} */
  const { pairing_id, browser } = parseCanonical(reveal);
  const commitment = await commitmentOf(reveal);
  const place = h("div", { "aria-live": "polite" });
  const problems = h("div", { "aria-live": "polite" });
  const boxes = PARTS.map(({ what, isOn }) => {
    const box = h("input", { type: "checkbox", id: `guest-${what}`, checked: isOn, value: what });
    return { box, row: h("label", { class: "check", for: `guest-${what}` }, box, t(`right.${what}`)) };
  });
  const until = h("select", { id: "guest-until" }, LIVES.map((days) => h("option", { value: days, selected: days === 7 }, t(`guests.days.${days}`))));
  const isIn = () => knownBrowsers(household, nowMs()).find((one) => one.device === device && one.name === browser.name && one.holder === "guest");
  const letIn = guarded(problems, async () => {
    const what = boxes.filter(({ box }) => box.checked).map(({ box }) => /** @type {What} */ (box.value));
    if (what.length === 0) return fill(problems, h("p", { class: "warning", role: "alert" }, t("guests.choose")));
    const now = nowMs();
    const right = { holder: /** @type {const} */ ("guest"), what, from_ms: now, until_ms: now + Number(until.value) * DAY_MS };
    const digest = await sendStatement(household, device, givenRight(browser, right, { commitment, pairing_id }));
    rememberGuestKeys(device, await browserIdOf(browser), browser);
    const done = () => h("p", { class: "ok", "data-testid": "guest-in", role: "status" }, t("guests.done", { name: browser.name, time: timeText(right.until_ms) }));
    fill(place, living(context, () => (isIn() ? [done()] : statementProgress(household, digest, start, "guest"))));
  });
  const start = () =>
    fill(
      place,
      h("fieldset", {}, h("legend", {}, t("guests.may")), boxes.map(({ row }) => row)),
      h("p", { class: "notice", id: "guest-keeps" }, t("guests.keeps")),
      h("label", { for: "guest-until" }, t("guests.how_long")),
      until,
      h("div", { class: "actions" }, h("button", { class: "primary", "data-testid": "let-guest-in", onclick: letIn }, t("guests.let_in", { name: browser.name }))),
    );
  start();
  return h(
    "section",
    { class: "card", "data-testid": "guest-join", "data-pairing": pairing_id },
    h("h3", {}, t("guests.asks", { name: browser.name })),
    h("p", {}, t("guests.at", { door: household.doorbell(device)?.name ?? device })),
    h("p", {}, t("people.words", { name: browser.name })),
    place,
    problems,
  );
}
