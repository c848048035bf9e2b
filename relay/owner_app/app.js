/**
 * The owner's app: reads where the relay is, finds who is signed in, and shows one page at a
 * time by the address behind the `#`. Pages are in views/.
 * @module
 */
import { forgetAccount, loadAccount, saveAccount } from "./account.js";
import { Relay } from "./api.js";
import { fill, h, mark } from "./dom.js";
import { whenOf } from "./happenings.js";
import { Household } from "./household.js";
import { LANGUAGES, chooseLanguage, currentLanguage, loadLanguage, t, timeText } from "./i18n.js";
import { clipPage, clipsPage } from "./views/clips.js";
import { doorPage } from "./views/door.js";
import { livePage } from "./views/live.js";
import { pairPage } from "./views/pair.js";
import { peoplePage } from "./views/people.js";
import { releasePage } from "./views/release.js";
import { requestsPage } from "./views/requests.js";
import { askPage, startPage } from "./views/start.js";
import { joinPage, welcomePage } from "./views/welcome.js";
import { noPicture, problem } from "./views/parts.js";

/** @typedef {{demo_passkeys: boolean, owner_rp_id: string, relay_name: string, ice_servers: RTCIceServer[]}} RelayConfig */
/** @typedef {import("./account.js").Owner} Owner */

/**
 * What every page gets.
 * @typedef {object} Context
 * @property {Relay} relay
 * @property {RelayConfig} config
 * @property {Household} household of the one who is signed in
 * @property {string[]} parts of the address
 * @property {URLSearchParams} query
 * @property {AbortSignal} left aborted when the reader leaves the page
 * @property {(token: string, owner: Owner) => void} signIn
 * @property {() => void} signOut
 */
/** @typedef {{title: string, body: Node[], isWide?: boolean}} Page */
/** @typedef {(context: Context) => Page | Promise<Page>} View */

/** @type {Record<string, {view: View, isOpen?: boolean, nav?: string}>} */
const ROUTES = {
  "": { view: doorPage, nav: "" },
  welcome: { view: welcomePage, isOpen: true },
  join: { view: joinPage, isOpen: true },
  start: { view: startPage },
  ask: { view: askPage },
  pair: { view: pairPage },
  live: { view: livePage, nav: "" },
  clips: { view: clipsPage, nav: "clips" },
  clip: { view: clipPage, nav: "clips" },
  requests: { view: requestsPage, nav: "requests" },
  release: { view: releasePage, nav: "requests" },
  people: { view: peoplePage, nav: "people" },
};
const NAV = ["", "clips", "requests", "people"];

class App {
  /** @param {Relay} relay @param {RelayConfig} config */
  constructor(relay, config) {
    this.relay = relay;
    this.config = config;
    /** @type {Household | null} */
    this.household = null;
    this.following = new AbortController();
    this.leaving = new AbortController();
    relay.onSignedOut = () => this.signOut();
  }

  start() {
    const account = loadAccount();
    if (account !== null) this.#enter(account.token, account.owner);
    addEventListener("hashchange", () => this.show());
    addEventListener("online", () => this.#banner());
    addEventListener("offline", () => this.#banner());
    this.show();
  }

  /** Shows the page that the address names. */
  async show() {
    this.leaving.abort();
    const leaving = (this.leaving = new AbortController());
    const { name, parts, query } = address();
    const route = ROUTES[name] ?? ROUTES[""];
    if (this.household === null && !route.isOpen) return go("welcome");
    this.#frame(route.nav);
    const context = /** @type {Context} */ ({
      relay: this.relay,
      config: this.config,
      household: this.household,
      parts,
      query,
      left: leaving.signal,
      signIn: (token, owner) => {
        saveAccount({ token, owner });
        this.#enter(token, owner);
      },
      signOut: () => this.signOut(),
    });
    const page = await draw(route.view, context);
    if (!leaving.signal.aborted) this.#put(page);
  }

  signOut() {
    if (this.household !== null) this.relay.delete("session").catch(() => {});
    this.following.abort();
    this.relay.token = "";
    this.household = null;
    forgetAccount();
    fill(element("banner"));
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
    this.household = household;
    household.follow(this.following.signal);
  }

  /** @param {Page} page */
  #put({ title, body, isWide = false }) {
    document.title = `${title} · Doorward`;
    const heading = h("h1", { tabindex: -1 }, title);
    const main = element("main");
    main.classList.toggle("wide", isWide);
    fill(main, heading, body);
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }

  /** @param {string | undefined} current */
  #frame(current) {
    const links = NAV.map((name) => {
      const here = name === current ? "page" : undefined;
      const link = { href: `#/${name}`, "aria-current": here };
      return h("li", {}, h("a", link, t(`nav.${name || "door"}`)));
    });
    const nav = this.household && h("nav", { "aria-label": t("nav.label") }, h("ul", {}, links));
    fill(element("top"), h("a", { class: "brand", href: "#/" }, mark(), "Doorward"), nav);
    fill(element("skip"), t("nav.skip"));
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
    const since = this.household?.lostContactMs || Date.now();
    const text = navigator.onLine
      ? t("banner.no_relay", { time: timeText(since, "clock") })
      : t("banner.offline");
    fill(element("banner"), isOff && h("div", { class: "banner" }, text));
  }

  /** @param {Event} pressed */
  #announce(pressed) {
    const told = /** @type {import("./happenings.js").Told} */ (/** @type {CustomEvent} */ (pressed).detail);
    const text = t("door.announce", { time: timeText(whenOf(told).ms, "clock") });
    const { body } = told.event;
    const why = body.type === "pressed" && body.camera !== "working" && ` ${noPicture(body.camera)}`;
    fill(element("announcer"), text, why);
  }
}

/** @param {View} view @param {Context} context @returns {Promise<Page>} */
async function draw(view, context) {
  try {
    return await view(context);
  } catch (error) {
    console.error(error);
    return { title: t("error.title"), body: [problem(error)] };
  }
}

function address() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean);
  // A page with an id behind its list: #/requests/{id}, #/clips/{device}/{clip id}.
  const name = parts[0] ?? "";
  const deeper = name === "requests" && parts.length === 2 ? "release" : name;
  const page = deeper === "clips" && parts.length === 3 ? "clip" : deeper;
  return { name: page, parts: parts.slice(1), query: new URLSearchParams(search) };
}

/** @param {string} page */
function go(page) {
  location.hash = `#/${page}`;
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

async function boot() {
  await loadLanguage();
  const main = element("main");
  try {
    const { relay_url } = await (await fetch("./config.json", { cache: "no-store" })).json();
    const relay = new Relay(relay_url);
    new App(relay, await relay.get("config")).start();
  } catch (error) {
    console.error(error);
    const again = h("button", { class: "primary", onclick: () => location.reload() }, t("error.again"));
    fill(main, h("h1", {}, t("error.no_start")), h("p", {}, t("error.no_start_help")), again);
  }
}

boot();
