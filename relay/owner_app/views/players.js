/**
 * The page of other players: admits programs that aren't browsers, through `doorward-view` on the
 * owner's machine.
 *
 * A player's keys are let in like a browser's. What it is set up with opens nothing by itself.
 * @module
 */
import { knownBrowsers } from "../known_browsers.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { trustedKeys } from "../trust.js";
import { browserIdOf } from "../vendor/protocol/browsers.js";
import { browserWords } from "../vendor/protocol/pairing.js";
import { parseCodeText, setupText } from "../vendor/protocol/players.js";
import { DAY_MS, givenRight } from "../vendor/protocol/rights.js";
import { guarded, known, living, problem } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("../vendor/protocol/documents.js").What} What */
/** @typedef {{browser: string, created_ms: number, expires_ms: number}} Viewer */

/** What a player may be given; live view alone unless more is chosen. @type {What[]} */
const PARTS = ["live", "rings", "history", "record"];

/** For how many days a player is let in; the doorbell takes a renewal of more than a month only if it is confirmed there. */
const LIVES = [30, 365];

/** @param {Context} context */
export async function playersPage(context) {
  const { household, left } = context;
  await known(household);
  const list = h("div", { "aria-live": "polite" });
  const refresh = async () => {
    try {
      fill(list, await listed(context, refresh));
    } catch (error) {
      if (!left.aborted) fill(list, problem(error));
    }
  };
  void refresh();
  return {
    title: t("players.title"),
    body: [
      h("p", { class: "lead" }, t("players.lead")),
      h("p", {}, t("players.trust")),
      letIn(context, refresh),
      h("h2", {}, t("players.yours")),
      list,
      h("p", {}, h("a", { href: "#/settings/people" }, t("browsers.all"))),
    ],
  };
}

/** The form for a player's code. @param {Context} context @param {() => Promise<void>} refresh */
function letIn(context, refresh) {
  const { household } = context;
  const code = h("textarea", { id: "player-code", rows: 4, spellcheck: "false", autocomplete: "off", required: true });
  const doors = household.doorbells.map(({ device, name }) => h("option", { value: device }, name));
  const door = h("select", { id: "player-door" }, doors);
  const boxes = PARTS.map((what) => {
    const box = h("input", { type: "checkbox", id: `player-${what}`, checked: what === "live", value: what });
    return { box, row: h("label", { class: "check", for: `player-${what}` }, box, t(what === "history" ? "players.history" : `right.${what}`)) };
  });
  const until = h("select", { id: "player-until" }, LIVES.map((days) => h("option", { value: days, selected: days === 30 }, t(`guests.days.${days}`))));
  const problems = h("div", { "aria-live": "polite" });
  const place = h("div", { "aria-live": "polite" });
  const submit = guarded(problems, async () => {
    const keys = parseCodeText(code.value);
    const what = boxes.filter(({ box }) => box.checked).map(({ box }) => /** @type {What} */ (box.value));
    if (what.length === 0) return fill(problems, h("p", { class: "warning", role: "alert" }, t("guests.choose")));
    const right = { holder: /** @type {const} */ ("player"), what, from_ms: 0, until_ms: nowMs() + Number(until.value) * DAY_MS };
    const device = door.value;
    const digest = await sendStatement(household, device, givenRight(keys, right, null));
    await follow(context, { device, keys, digest }, place, refresh);
  });
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t("players.add")),
    h("p", {}, t("players.how"), " ", h("code", {}, "doorward-view keygen --name …")),
    h(
      "form",
      { onsubmit: submit },
      doors.length > 1 && [h("label", { for: "player-door" }, t("players.door")), door],
      h("label", { for: "player-code" }, t("players.code")),
      code,
      h("fieldset", {}, h("legend", {}, t("guests.may")), boxes.map(({ row }) => row), h("p", { class: "hint" }, t("players.keeps"))),
      h("label", { for: "player-until" }, t("guests.how_long")),
      until,
      h("div", { class: "actions" }, h("button", { class: "primary", id: "let-player-in" }, t("players.let_in"))),
    ),
    problems,
    place,
  );
}

/**
 * Shows what remains to be done once the owner has signed.
 * @param {Context} context @param {{device: string, keys: BrowserKeys, digest: string}} signed
 * @param {HTMLElement} place @param {() => Promise<void>} refresh
 */
async function follow(context, { device, keys, digest }, place, refresh) {
  const { household, relay } = context;
  const id = await browserIdOf(keys);
  const words = await browserWords(device, keys);
  const known = () => knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === id);
  const sinceMs = known()?.time_ms ?? 0;
  const setUp = h("div", {});
  const content = () => {
    const now = known();
    if (now !== undefined && now.time_ms > sinceMs) return [done(now)];
    return [compare(words), ...statementProgress(household, digest, () => fill(place), "browser")];
  };
  fill(place, living(context, content), setUp);
  const { viewers } = await relay.get(`doorbells/${device}/viewers`);
  const isSetUp = viewers.some((/** @type {Viewer} */ one) => one.browser === id);
  if (isSetUp) fill(setUp, again(context, device, id));
  else await showSetUp(context, device, id, setUp);
  await refresh();
}

/** @param {string[]} words */
function compare(words) {
  return h(
    "div",
    {},
    h("p", {}, t("players.words")),
    h("ol", { class: "words", "data-testid": "player-words" }, words.map((word) => h("li", { lang: "en" }, word))),
  );
}

/** @param {import("./browsers.js").KnownBrowser} known */
function done({ name, until_ms }) {
  return h("p", { class: "notice", "data-testid": "player-in", role: "status" }, t("players.may", { name }), " ", time(until_ms, "day"));
}

/** @param {Context} context @param {string} device @param {string} id */
function again(context, device, id) {
  const place = h("div", { "aria-live": "polite" });
  const make = guarded(place, () => showSetUp(context, device, id, place));
  return h("div", {}, h("p", {}, t("players.is_set_up")), h("button", { id: "new-setup", onclick: make }, t("players.new_setup")), place);
}

/**
 * Makes a token for the player and shows what it is set up with, once.
 * @param {Context} context @param {string} device @param {string} id @param {HTMLElement} place
 */
async function showSetUp({ household, relay, relayUrl }, device, id, place) {
  const { identity_key } = trustedKeys(household, device);
  const { token } = await relay.put(`doorbells/${device}/viewers/${id}`, {});
  const text = setupText({ v: 1, relay: new URL(relayUrl).origin, device, identity_key, token });
  const field = h("textarea", { id: "player-setup", rows: 5, readonly: true, spellcheck: "false" });
  field.value = text;
  field.addEventListener("focus", () => field.select());
  const said = h("span", { class: "muted", role: "status" });
  const copy = guarded(said, async () => {
    await navigator.clipboard.writeText(text);
    fill(said, t("players.copied"));
  });
  fill(
    place,
    h("label", { for: "player-setup" }, t("players.setup")),
    field,
    h("div", { class: "actions" }, h("button", { onclick: copy }, t("players.copy")), said),
    h("p", { class: "hint" }, t("players.setup_hint"), " ", h("code", {}, "doorward-view setup")),
  );
}

/** @param {Context} context @param {() => Promise<void>} refresh */
async function listed(context, refresh) {
  const { household, relay } = context;
  const place = h("div", { "aria-live": "polite" });
  const all = await Promise.all(
    household.doorbells.map(async ({ device }) => {
      const { viewers } = await relay.get(`doorbells/${device}/viewers`);
      return viewers.map((/** @type {Viewer} */ viewer) => ({ device, viewer }));
    }),
  );
  const players = all.flat();
  if (players.length === 0) return h("p", { class: "empty" }, t("players.none"));
  loadRights(household, players).catch((error) => console.warn("older notes", error));
  const rows = () => players.map(({ device, viewer }) => row(context, device, viewer, place, refresh));
  return [living(context, () => [h("ul", { class: "rows", id: "players" }, rows())]), place];
}

/** Loads the notes that tell of these players' rights, as far back as they were set up. @param {Context["household"]} household @param {{device: string, viewer: Viewer}[]} players */
async function loadRights(household, players) {
  const known = knownBrowsers(household, nowMs());
  const unknown = players.filter(({ device, viewer }) => !known.some((one) => one.device === device && one.browser === viewer.browser));
  if (unknown.length > 0) await household.loadBackTo(Math.min(...unknown.map(({ viewer }) => viewer.created_ms)) - DAY_MS);
}

/**
 * @param {Context} context @param {string} device @param {Viewer} viewer
 * @param {HTMLElement} place @param {() => Promise<void>} refresh
 */
function row({ household, relay }, device, { browser, created_ms }, place, refresh) {
  const known = knownBrowsers(household, nowMs()).find((one) => one.device === device && one.browser === browser);
  const name = known?.name ?? browser;
  const end = guarded(place, async () => {
    await sendStatement(household, device, { kind: "end_session", browser });
    await relay.delete(`doorbells/${device}/viewers/${browser}`);
    await refresh();
  });
  const may = known?.what.map((one) => `${t(one === "history" ? "players.copies" : `right.short.${one}`)} · `) ?? [];
  const when = known ? [...may, t("browsers.until"), " ", time(known.until_ms, "day")] : [t("players.since"), " ", time(created_ms, "day")];
  return h(
    "li",
    { "data-testid": "player", "data-browser": browser },
    h("div", { class: "grow" }, h("strong", {}, name), h("span", { class: "muted" }, household.doorbell(device)?.name ?? "", " · ", when)),
    h("button", { id: `end-player-${browser}`, "aria-label": t("browsers.end_label", { name }), onclick: end }, t("browsers.end")),
  );
}
