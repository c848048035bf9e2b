/**
 * The page of the owner's browsers: which may watch, admitting this one, and removing one.
 * @module
 */
import { browserName, rememberBrowserName, thisBrowser } from "../account.js";
import { knownBrowsers } from "../known_browsers.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { pairThroughRelay } from "../newcomer.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { checkAnswered } from "../trust.js";
import { withoutMisleading } from "../vendor/protocol/plain_text.js";
import { SELF_RENEWED_MS, givenRight, ownersRight } from "../vendor/protocol/rights.js";
import { guarded, known, living } from "./parts.js";
import { standing, statementProgress } from "./progress.js";
import { findThroughRelay, showStoppedForToday } from "./four_taps.js";
import { tooLongText } from "./setting_field.js";
import { hasTooManyWrongTaps } from "../wrong_taps.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../known_browsers.js").KnownBrowser} KnownBrowser */
/** @typedef {import("../vendor/protocol/pairing.js").Answered} Answered */

const MAX_NAME = 60;

/** One doorbell's part, or that of each. @param {Context} context */
export async function browsersPage(context) {
  const { household, parts } = context;
  await known(household);
  const doorbells = household.doorbells.filter(({ device }) => !parts[0] || device === parts[0]);
  const enrolments = doorbells.map(({ device, name }) => enrolment(context, device, name));
  return {
    title: t("browsers.title_this"),
    body: [
      h("p", { class: "lead" }, t("browsers.why")),
      nameField(context, () => {}),
      ...(await Promise.all(enrolments)),
      h("p", {}, h("a", { href: "#/settings/people" }, t("browsers.all"))),
    ],
  };
}

/** Those that may watch, as far as this browser has been told. @param {Context} context @param {string} [title] */
export function browsersSection(context, title = t("browsers.title")) {
  const { household } = context;
  const place = h("div", { "aria-live": "polite" });
  // A browser that nobody renewed for so long is over.
  household.loadBackTo(nowMs() - SELF_RENEWED_MS).catch((error) => console.warn("older notes", error));
  const list = h("div");
  let shown = "";
  const draw = () => {
    const known = ownBrowsers(household);
    const now = JSON.stringify([known, household.browser?.id]);
    if (now === shown) return; // a button mustn't go away under a finger
    shown = now;
    const rows = known.map((browsers) => row(context, browsers, place));
    fill(list, rows.length > 0 ? h("ul", { class: "rows", id: "browsers" }, rows) : nobody());
  };
  draw();
  household.addEventListener("change", draw, { signal: context.left });
  const here = h("a", { class: "button", id: "this-browser", href: "#/browsers" }, t("browsers.this"));
  return h(
    "section",
    {},
    h("h2", {}, title),
    h("p", {}, t("browsers.lead")),
    list,
    place,
    h("div", { class: "actions" }, here),
    h("p", { class: "muted" }, t("browsers.only_since")),
  );
}

function nobody() {
  return h("p", { class: "empty" }, t("browsers.none"));
}

/**
 * A field for what the owner calls this browser.
 * @param {Context} context @param {() => void} onChange
 */
export function nameField({ household, ready }, onChange) {
  const name = h("input", { id: "browser-name", autocomplete: "off" });
  const wrong = h("p", { class: "warn-text", role: "alert" });
  name.value = browserName(household.owner);
  name.addEventListener("change", () => {
    fill(wrong, tooLongText(name.value.trim(), MAX_NAME));
    if (wrong.textContent !== "") return; // the one before stays in use
    rememberBrowserName(household.owner, withoutMisleading(name.value).trim());
    name.value = browserName(household.owner);
    ready.forgetBrowser();
    onChange();
  });
  return h("div", {}, h("label", { for: "browser-name" }, t("browsers.name")), name, wrong, h("p", { class: "hint" }, t("browsers.name_hint")));
}

/** The owner's own, each with all doorbells that it is let in by. @param {Household} household @returns {KnownBrowser[][]} */
function ownBrowsers(household) {
  /** @type {Map<string, KnownBrowser[]>} */
  const known = new Map();
  for (const one of knownBrowsers(household, nowMs())) {
    if (one.holder === "owner") known.set(one.browser, [...(known.get(one.browser) ?? []), one]);
  }
  return [...known.values()];
}

/**
 * One browser. To end it ends all: its keys at each doorbell, its session at the relay, its pushes.
 * @param {Context} context @param {KnownBrowser[]} at its right at each doorbell @param {HTMLElement} place
 */
function row(context, at, place) {
  const { household, relay } = context;
  const [{ browser, name, until_ms }] = at;
  const isHere = browser === household.browser?.id;
  const end = guarded(place, async () => {
    for (const { device } of at) await sendStatement(household, device, { kind: "end_session", browser });
    if (isHere) return context.signOut();
    await relay.delete(`browsers/${browser}`);
    fill(place, h("p", { class: "notice", id: "browser-ending", role: "status" }, t("browsers.ending", { name })));
  });
  const doors = at.map(({ device }) => household.doorbell(device)?.name ?? "").join(", ");
  const door = household.doorbells.length > 1 ? `${doors} · ` : "";
  return h(
    "li",
    { "data-testid": "browser", "data-browser": browser },
    h(
      "div",
      { class: "grow" },
      h("strong", {}, isHere ? t("browsers.here", { name }) : name),
      h("span", { class: "muted" }, door, t("browsers.until"), " ", time(until_ms, "day")),
    ),
    h("button", { id: `end-${browser}`, "aria-label": t("browsers.end_label", { name }), onclick: end }, t("browsers.end")),
  );
}

/** @param {Context} context @param {string} device @param {string} doorName */
async function enrolment(context, device, doorName) {
  const { household } = context;
  const place = h("div", { "aria-live": "polite" });
  const problems = h("div", { "aria-live": "polite" });
  const { id } = await thisBrowser(household.owner);
  const current = () => knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === id);
  const start = () => {
    const known = current();
    const words = known === undefined ? "browsers.enrol" : "browsers.renew";
    const button = h("button", { class: "primary", "data-testid": "enrol", onclick: enrol }, t(words));
    fill(place, known && h("p", {}, t("browsers.may"), " ", time(known.until_ms, "day")), button);
  };
  const enrol = guarded(problems, async () => {
    if (hasTooManyWrongTaps(household.owner)) return fill(place, showStoppedForToday());
    const { keys } = await thisBrowser(household.owner);
    const check = (/** @type {Answered} */ answered) => checkAnswered(household, device, answered);
    const paired = await pairThroughRelay(context.relay, { browser: keys }, check, device);
    const sinceMs = current()?.time_ms ?? 0;
    const digest = await sendStatement(household, device, givenRight(keys, ownersRight(nowMs()), paired.offer));
    const words = h("div", { "data-testid": "browser-words" });
    let isAsked = false;
    const content = () => {
      const now = current();
      if (now !== undefined && now.time_ms > sinceMs) return [enrolled(device, now)];
      if (standing(household, digest) === "asked" && !isAsked) {
        isAsked = true;
        void findThroughRelay(context, words, paired, t("browsers.found"));
      }
      return statementProgress(household, digest, start, "words");
    };
    fill(place, living(context, content), words);
  });
  start();
  return h("section", { class: "card", "data-device": device }, h("h2", {}, doorName), place, problems);
}

/** @param {string} device @param {KnownBrowser} known */
function enrolled(device, { until_ms }) {
  return h(
    "div",
    { class: "notice", "data-testid": "enrolled", role: "status" },
    h("p", {}, t("browsers.may"), " ", time(until_ms, "day")),
    h("a", { class: "button primary", href: `#/live/${device}` }, t("door.see")),
  );
}
