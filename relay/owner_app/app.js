/**
 * The owner's app: finds the relay and the session, and shows one page at a time by the URL's
 * fragment. Pages are in views/, and which there are in routes.js.
 * @module
 */
import { forgetAccount, loadAccount, mayBeSignedIn, rememberEndedSession, remembered, saveAccount, useAccountAt } from "./account.js";
import { ApiError, Relay, Unreachable } from "./api.js";
import { fill, h, mark, skeleton } from "./dom.js";
import { whenOf } from "./event_groups.js";
import { Household } from "./household.js";
import { icon } from "./icons.js";
import { LANGUAGES, chooseLanguage, currentLanguage, loadLanguage, loadMoreWords, t, timeText } from "./i18n.js";
import { WorkerRegistration } from "./worker_registration.js";
import { leave } from "./sign_out.js";
import { LivePrefetch } from "./live_prefetch.js";
import { Pictures } from "./pictures.js";
import { NotLoaded, fetchAhead, relayOfAddress, loaded, viewOf, openRoute, whereItIs } from "./routes.js";
import * as snapshot from "./snapshot.js";
import { livesIn, nowMs } from "./town_time.js";
import { notLoaded } from "./views/load_error.js";
import { noPicture, problem } from "./views/parts.js";
import { forgetWorkerStore } from "./worker_store.js";

/** @typedef {{demo_passkeys: boolean, owner_origin: string, owner_rp_id: string, relay_name: string, example_town?: string}} RelayConfig (`example_town`: the name of an invented town's logs) */
/** @typedef {{digest: string, register_origin: string}} Policy */
/** @typedef {import("./account.js").Owner} Owner */

/**
 * What every page gets.
 * @typedef {object} Context
 * @property {Relay} relay
 * @property {RelayConfig} config
 * @property {Policy | null} policy of public logs, if whoever serves the app knows which one doorbells are to follow
 * @property {Household} household of the one who is signed in
 * @property {LivePrefetch} ready calls to their doorbells
 * @property {Pictures} pictures of their events
 * @property {WorkerRegistration} installed the service worker, and what it is to know
 * @property {string} relayUrl
 * @property {string[]} relays that one, and others that this app may be for
 * @property {string[]} parts of the address
 * @property {URLSearchParams} query
 * @property {AbortSignal} left aborted when the reader leaves the page
 * @property {() => void} again draws the page anew
 * @property {(token: string, owner: Owner, lastsMs: number) => void} signIn
 * @property {(how?: {isKnown?: boolean}) => void} signOut
 */
/** @typedef {{title: string, body: Node[], isWide?: boolean, isTitleHidden?: boolean}} Page `isTitleHidden`: it is only heard */
/** @typedef {(context: Context) => Page | Promise<Page>} View */

/** The places, in their order; the first page is the door's. @type {readonly (readonly [string, import("./icons.js").IconName])[]} */
const PLACES = [
  ["", "door"],
  ["history", "history"],
  ["neighbours", "neighbours"],
  ["requests", "requests"],
  ["settings", "settings"],
];
/** A page that takes longer to come leaves the one before. */
const SLOW_MS = 300;
/** By which the relay's clock and this one may differ. */
const CLOCKS_MAY_DIFFER_MS = 60_000;

class App {
  /** @param {Relay} relay @param {string} relayUrl @param {string[]} relays @param {RelayConfig} config @param {Policy | null} policy */
  constructor(relay, relayUrl, relays, config, policy) {
    this.policy = policy;
    this.relay = relay;
    this.relayUrl = relayUrl;
    this.relays = relays;
    this.config = config;
    livesIn(config.example_town);
    this.installed = new WorkerRegistration();
    /** @type {Household | null} */
    this.household = null;
    /** @type {LivePrefetch | null} */
    this.ready = null;
    /** @type {Pictures | null} */
    this.pictures = null;
    this.following = new AbortController();
    this.leaving = new AbortController();
    relay.onSignedOut = () => this.signOut({ isKnown: false, isAskedFor: false });
  }

  start() {
    const account = loadAccount();
    if (account !== null) this.#enter(account.token, account.owner);
    else void forgetWorkerStore(this.relayUrl);
    this.installed.addEventListener("newer", () => this.#banner());
    this.installed.listen();
    addEventListener("hashchange", () => this.#moved());
    for (const type of ["online", "offline"]) {
      addEventListener(type, () => {
        this.#banner();
        void this.household?.networkIs(navigator.onLine);
      });
    }
    void this.show();
  }

  /** Shows the page that the address names. */
  async show() {
    this.leaving.abort();
    const leaving = (this.leaving = new AbortController());
    const { name, route, parts, query } = whereItIs();
    if (this.household === null && !route.isOpen) return go("welcome");
    if (name === "release") fill(element("asked")); // it is being read
    this.#frame(route.nav);
    const context = /** @type {Context} */ ({
      relay: this.relay,
      config: this.config,
      policy: this.policy,
      household: this.household,
      ready: this.ready,
      pictures: this.pictures,
      installed: this.installed,
      relayUrl: this.relayUrl,
      relays: this.relays,
      parts,
      query,
      left: leaving.signal,
      again: () => void this.show(),
      signIn: (token, owner, lastsMs) => {
        saveAccount({ token, owner, ends_ms: nowMs() + lastsMs });
        this.#enter(token, owner);
      },
      signOut: (how) => this.signOut(how),
    });
    const slow = setTimeout(() => leaving.signal.aborted || fill(element("main"), skeleton(3)), SLOW_MS);
    const page = await draw(openRoute(name, route, this.household?.isGuest ?? false), context);
    clearTimeout(slow);
    if (leaving.signal.aborted) return;
    this.#put(page);
    void this.installed.start(); // it fetches all of the app: not before the first page
  }

  #moved() {
    const isElsewhere = (relayOfAddress(this.relays[0]) ?? this.relayUrl) !== this.relayUrl;
    if (this.installed.isReplaced || isElsewhere) location.reload();
    else void this.show();
  }

  /** @param {{isKnown?: boolean, isAskedFor?: boolean}} [how] whether the relay still takes the token, and whether anybody here wanted it */
  signOut({ isKnown = true, isAskedFor = true } = {}) {
    const { household } = this;
    const account = loadAccount(); // null: another window of this browser signed out
    if (household !== null && account !== null && !isAskedFor) {
      const isOver = nowMs() >= (account.ends_ms ?? Infinity) - CLOCKS_MAY_DIFFER_MS;
      rememberEndedSession({ why: isOver ? "over" : "elsewhere", at_ms: nowMs(), name: household.owner.name });
    }
    this.following.abort();
    if (household !== null) void leave(this.installed, household, this.relayUrl, { isKnown });
    this.relay.token = "";
    this.pictures?.close();
    this.household = this.ready = this.pictures = null;
    forgetAccount();
    fill(element("banner"));
    fill(element("asked"));
    fill(element("toasts"));
    go("welcome");
  }

  /** @param {string} token @param {Owner} owner */
  #enter(token, owner) {
    this.following.abort();
    this.following = new AbortController();
    this.relay.token = token;
    const household = new Household(this.relay, owner);
    household.addEventListener("contact", () => this.#banner());
    household.addEventListener("pressed", (event) => this.#announce(event));
    household.addEventListener("gone", (event) => this.#gone(household, event));
    household.addEventListener("matched", tellMatched, { signal: this.following.signal });
    this.household = household;
    this.ready = new LivePrefetch(household);
    this.pictures = new Pictures(household);
    const { signal } = this.following;
    this.installed.follow(household, this.relayUrl, signal);
    void snapshot.restore(household);
    snapshot.keep(household, signal);
    household.follow(signal);
    if (localStorage.getItem(remembered("credit-code", owner.credential_id)) !== null) {
      import("./credit_code.js").then((code) => code.handInKept(this.relay, owner)).catch((error) => console.warn("a code", error));
    }
  }

  /** The first page says so, in words; but whoever has just left is saving the record of it. @param {Household} household @param {Event} event */
  #gone(household, event) {
    const device = /** @type {CustomEvent<string>} */ (event).detail;
    if (!household.records.has(device)) go("");
  }

  /** @param {Page} page */
  #put({ title, body, isWide = false, isTitleHidden = false }) {
    document.title = `${title} · Doorward`;
    const { route, parts } = whereItIs();
    const heading = h("h1", { tabindex: -1, class: isTitleHidden && "visually-hidden" }, title);
    const main = element("main");
    main.classList.toggle("wide", isWide);
    const whose = h("div");
    const away = h("div");
    fill(main, heading, whose, away, body);
    if (this.household !== null && route.saysAway) void showAway(away, { household: this.household, left: this.leaving.signal }, parts);
    if (this.household?.isGuest) void showGuest(whose, { household: this.household, left: this.leaving.signal });
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }

  /** A guest has the door and the neighbours, and the history if they were given it. */
  #places() {
    if (!this.household?.isGuest) return PLACES;
    const hasHistory = this.household.doorbells.some(({ guest }) => guest?.what.includes("history"));
    return PLACES.filter(([name]) => name === "" || name === "neighbours" || (name === "history" && hasHistory));
  }

  /** @param {string | undefined} current */
  #frame(current) {
    const links = this.#places().map(([name, words]) => {
      const link = { href: `#/${name}`, "aria-current": name === current && "page" };
      return h("li", {}, h("a", link, icon(words), h("span", {}, t(`nav.${words}`))));
    });
    const nav = this.household && h("nav", { class: "places", "aria-label": t("nav.label") }, h("ul", {}, links));
    document.body.classList.toggle("has-places", nav !== null);
    fill(element("top"), h("a", { class: "brand", href: "#/" }, mark(), "Doorward"), nav);
    fill(element("skip"), t("nav.skip"));
    const town = this.config.example_town;
    fill(element("example"), town && h("p", { class: "example" }, t("nav.example", { town })));
    fill(element("foot"), this.#foot());
    this.#banner();
  }

  #foot() {
    const languages = Object.entries(LANGUAGES)
      .filter(([code]) => code !== currentLanguage())
      .map(([code, name]) =>
        h("button", { class: "quiet", lang: code, onclick: () => chooseLanguage(code) }, name),
      );
    const name = this.household?.owner.name;
    const signOut = { class: "quiet", id: "sign-out", onclick: () => this.signOut() };
    const out = name && h("button", signOut, t("nav.sign_out"));
    return [h("p", {}, name ? t("nav.signed_in", { name }) : this.config.relay_name), out, languages];
  }

  #banner() {
    const isOff = !navigator.onLine || this.household?.hasContact === false;
    const since = this.household?.lostContactMs || nowMs();
    const text = navigator.onLine
      ? t("banner.no_relay", { time: timeText(since, "clock") })
      : t("banner.offline");
    const reload = { class: "quiet", id: "take-newer", onclick: () => this.installed.takeNewer() };
    fill(
      element("banner"),
      isOff && h("div", { class: "banner" }, text),
      this.installed.hasNewer && h("div", { class: "banner news" }, t("banner.newer"), h("button", reload, t("banner.reload"))),
    );
  }

  /** @param {Event} pressed */
  #announce(pressed) {
    const told = /** @type {import("./event_groups.js").ReportedEvent} */ (/** @type {CustomEvent} */ (pressed).detail);
    const { body, device } = told.event;
    const time = timeText(whenOf(told).ms, "clock");
    const bells = this.household?.doorbells ?? [];
    const door = bells.find((one) => one.device === device)?.name ?? "";
    const text = bells.length > 1 ? t("door.announce_at", { door, time }) : t("door.announce", { time });
    void showRing(device, text);
    const why = body.type === "pressed" && body.camera !== "working" && ` ${noPicture(body.camera)}`;
    fill(element("announcer"), text, why);
  }
}

/** @param {import("./routes.js").Route} route @param {Context} context @returns {Promise<Page>} */
async function draw(route, context) {
  try {
    const view = await viewOf(route);
    context.left.throwIfAborted(); // whoever has left mustn't have a camera opened for them
    return await view(context);
  } catch (error) {
    if (error instanceof NotLoaded) return notLoaded(context.installed);
    if (!context.left.aborted) console.error(error);
    return { title: t("error.title"), body: [problem(error)] };
  }
}

/** @param {string} page */
function go(page) {
  location.hash = `#/${page}`;
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * What the relay says of itself. Whoever is signed in sees their door before it has said so anew:
 * until the next time, what it said last does. @param {Relay} relay @param {string} url @returns {Promise<RelayConfig>}
 */
async function relayConfig(relay, url) {
  const key = `doorward.relay.${url}`;
  const kept = localStorage.getItem(key);
  const ask = async () => {
    const config = await relay.get("config");
    localStorage.setItem(key, JSON.stringify(config));
    return config;
  };
  if (kept === null) return ask();
  const said = ask();
  if (loadAccount() !== null) {
    said.catch((error) => console.warn("config", error));
    return JSON.parse(kept);
  }
  return said.catch((error) => {
    if (!(error instanceof Unreachable || (error instanceof ApiError && error.status >= 500))) throw error;
    return JSON.parse(kept);
  });
}

/** An emergency calls for attention, once. @param {Event} event */
function tellMatched(event) {
  /** @type {import("./decision_notes.js").Match[]} */
  const matches = /** @type {CustomEvent} */ (event).detail;
  if (!matches.some((one) => one.is_emergency)) return;
  import("./emergency.js").then(({ showEmergencies }) => showEmergencies(matches, element("asked"))).catch((error) => console.warn("emergency", error));
}

/** Says whose guest this is. @param {HTMLElement} place @param {{household: Household, left: AbortSignal}} context */
async function showGuest(place, context) {
  const [{ guestBanner }] = await Promise.all([import("./views/guest_banner.js"), loadMoreWords()]);
  fill(place, guestBanner(context));
}

/** Says which of the page's doorbells can't be reached, and since when. @param {HTMLElement} place @param {{household: Household, left: AbortSignal}} context @param {string[]} parts */
async function showAway(place, context, parts) {
  const [{ awayNotice }] = await Promise.all([import("./views/away.js"), loadMoreWords()]);
  fill(place, awayNotice(context, parts));
}

/** Shows a ring where the page doesn't: nobody is led away from what they look at. @param {string} device @param {string} text */
async function showRing(device, text) {
  const { name, parts } = whereItIs();
  if (name === "" || (name === "live" && parts[0] === device)) return;
  const { toast } = await import("./components/dialog.js");
  toast(text, { label: t("door.see"), onclick: () => go(`live/${device}`) });
}

/** Fails only where not even words can be fetched; start.js says so. */
async function boot() {
  fetchAhead(mayBeSignedIn());
  await loadLanguage();
  /** @type {string[]} */
  let relays = [];
  let url = "";
  try {
    const { relay_url, other_relays = [], policy } = await (await fetch("./config.json", { cache: "no-store" })).json();
    relays = [relay_url, ...other_relays];
    url = relay_url;
    const linked = relayOfAddress(url);
    const isOnly = relays.length === 1 && (linked ?? url) === url && !mayBeSignedIn(url);
    if (!isOnly) url = await (await import("./relays.js")).relayToOpen(relays, linked);
    useAccountAt(url);
    const relay = new Relay(url);
    const known = url === relay_url ? policy : undefined;
    new App(relay, url, relays, await relayConfig(relay, url), known ?? null).start();
  } catch (error) {
    console.error(error);
    const noStart = await loaded(async () => (await import("./views/no_start.js")).noStart);
    fill(element("main"), noStart(error, relays, url));
  }
}

await boot();
