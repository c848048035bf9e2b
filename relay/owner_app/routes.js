/**
 * The app's routes: pages by the URL's fragment. A page's code is fetched when it is first shown,
 * and so are all words but those of the first pages: the app is small until it is used. Once the
 * service worker has fetched the rest, nothing of this needs a network.
 * @module
 */
import { loadMoreWords } from "./i18n.js";

/** @typedef {import("./app.js").View} View */
/** @typedef {{load: () => Promise<View>, isOpen?: boolean, isFirst?: boolean, nav?: string}} Route `isOpen`: to whoever isn't signed in; `isFirst`: needs no words but the first */

/** @type {Record<string, Route>} */
const ROUTES = {
  "": { load: async () => (await import("./views/door.js")).doorPage, isFirst: true, nav: "" },
  welcome: { load: async () => (await import("./views/welcome.js")).welcomePage, isFirst: true, isOpen: true },
  join: { load: async () => (await import("./views/welcome.js")).joinPage, isFirst: true, isOpen: true },
  start: { load: async () => (await import("./views/start.js")).startPage },
  ask: { load: async () => (await import("./views/start.js")).askPage },
  pair: { load: async () => (await import("./views/pair.js")).pairPage },
  live: { load: async () => (await import("./views/live.js")).livePage, nav: "" },
  see: { load: async () => (await import("./views/live_shortcut.js")).seePage, nav: "" },
  notifications: { load: async () => (await import("./views/notifications.js")).notificationsPage, nav: "people" },
  replies: { load: async () => (await import("./views/replies.js")).repliesPage, nav: "people" },
  clips: { load: async () => (await import("./views/clips.js")).clipsPage, nav: "clips" },
  clip: { load: async () => (await import("./views/clips.js")).clipPage, nav: "clips" },
  requests: { load: async () => (await import("./views/requests.js")).requestsPage, nav: "requests" },
  release: { load: async () => (await import("./views/release.js")).releasePage, nav: "requests" },
  people: { load: async () => (await import("./views/people.js")).peoplePage, nav: "people" },
  identity: { load: async () => (await import("./views/identity.js")).identityPage, nav: "" },
  browsers: { load: async () => (await import("./views/browsers.js")).browsersPage, nav: "people" },
  players: { load: async () => (await import("./views/players.js")).playersPage, nav: "people" },
  sessions: { load: async () => (await import("./views/sessions.js")).sessionsPage, nav: "people" },
  wifi: { load: async () => (await import("./views/wifi.js")).wifiPage, nav: "people" },
  settings: { load: async () => (await import("./views/settings.js")).settingsPage, nav: "people" },
};

/** @type {Route} */
const NOWHERE = { load: async () => (await import("./views/nowhere.js")).nowherePage };

/** A page's code or words can't be fetched. */
export class NotLoaded extends Error {}

/** Where the reader is: a route, what its page is to know, and whether it is a request that is read. */
export function whereItIs() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean);
  // A page with an id behind its list: #/requests/{id}, #/clips/{device}/{clip id}.
  const first = parts[0] ?? "";
  const deeper = first === "requests" && parts.length > 1 ? "release" : first;
  const name = deeper === "clips" && parts.length === 3 ? "clip" : deeper;
  const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : NOWHERE;
  return { name, route, parts: parts.slice(1), query: new URLSearchParams(search) };
}

/** Begins to fetch what will be shown first. @param {boolean} isSignedIn */
export function fetchAhead(isSignedIn) {
  const { route } = whereItIs();
  viewOf(isSignedIn || route.isOpen ? route : ROUTES.welcome).catch(() => {}); // it is asked for again
}

/** Fetches a page's code, and the words that it needs. @param {Route} route @returns {Promise<View>} */
export async function viewOf({ load, isFirst }) {
  try {
    const [view] = await Promise.all([load(), isFirst || loadMoreWords()]);
    return view;
  } catch (error) {
    throw new NotLoaded("a part of the app can't be fetched", { cause: error });
  }
}
