/**
 * The app's routes: pages by the URL's fragment. A page's code is fetched when it is first shown,
 * and so are all words but those of the first pages: the app is small until it is used. Once the
 * service worker has fetched the rest, nothing of this needs a network.
 * @module
 */
import { styleSheet } from "./dom.js";
import { loadMoreWords } from "./i18n.js";

/** @typedef {import("./app.js").View} View */
/** @typedef {{load: () => Promise<View>, isOpen?: boolean, isFirst?: boolean, nav?: string, sheet?: string, saysAway?: boolean}} Route `isOpen`: to whoever isn't signed in; `isFirst`: needs no words and no style but the first; `saysAway`: says itself nothing of a doorbell that is away */

/** @type {Record<string, Route>} */
const ROUTES = {
  "": { load: async () => (await import("./views/door.js")).doorPage, isFirst: true, nav: "" },
  welcome: { load: async () => (await import("./views/welcome.js")).welcomePage, isFirst: true, isOpen: true },
  join: { load: async () => (await import("./views/welcome.js")).joinPage, isFirst: true, isOpen: true },
  guest: { load: async () => (await import("./views/guest.js")).guestPage, isOpen: true },
  start: { load: async () => (await import("./views/start.js")).startPage },
  ask: { load: async () => (await import("./views/start.js")).askPage },
  pair: { load: async () => (await import("./views/pair.js")).pairPage },
  live: { load: async () => (await import("./views/live.js")).livePage, nav: "", sheet: "./live.css", saysAway: true },
  see: { load: async () => (await import("./views/live_shortcut.js")).seePage, nav: "" },
  history: { load: async () => (await import("./views/history.js")).historyPage, nav: "history", sheet: "./history.css", saysAway: true },
  clip: { load: async () => (await import("./views/clip.js")).clipPage, nav: "history", sheet: "./history.css", saysAway: true },
  neighbours: { load: async () => (await import("./views/neighbours.js")).neighboursPage, nav: "neighbours", sheet: "./neighbours.css" },
  "neighbours/write": { load: async () => (await import("./views/neighbours_write.js")).writePage, nav: "neighbours", sheet: "./neighbours.css" },
  "neighbours/mine": { load: async () => (await import("./views/neighbours_mine.js")).minePage, nav: "neighbours", sheet: "./neighbours.css" },
  "neighbours/follow": { load: async () => (await import("./views/neighbours_follow.js")).followPage, nav: "neighbours", sheet: "./neighbours.css" },
  requests: { load: async () => (await import("./views/requests.js")).requestsPage, nav: "requests", saysAway: true },
  release: { load: async () => (await import("./views/release.js")).releasePage, nav: "requests" },
  settings: { load: async () => (await import("./views/settings_index.js")).settingsIndex, nav: "settings", saysAway: true },
  "settings/doorbell": { load: async () => (await import("./views/settings.js")).doorbellPage, nav: "settings" },
  "settings/camera": { load: async () => (await import("./views/settings.js")).cameraPage, nav: "settings" },
  "settings/notifications": { load: async () => (await import("./views/notifications.js")).notificationsPage, nav: "settings", saysAway: true },
  "settings/people": { load: async () => (await import("./views/people.js")).peoplePage, nav: "settings", saysAway: true },
  "settings/police": { load: async () => (await import("./views/settings.js")).policePage, nav: "settings" },
  "settings/data": { load: async () => (await import("./views/settings.js")).dataPage, nav: "settings" },
  credits: { load: async () => (await import("./views/credit.js")).creditPage, nav: "settings" },
  notice: { load: async () => (await import("./views/notice_sheet.js")).noticeSheetPage, nav: "settings" },
  replies: { load: async () => (await import("./views/replies.js")).repliesPage, nav: "settings", saysAway: true },
  identity: { load: async () => (await import("./views/identity.js")).identityPage, nav: "settings", saysAway: true },
  people: { load: async () => (await import("./views/people_pages.js")).peopleSubpage, nav: "settings", saysAway: true },
  browsers: { load: async () => (await import("./views/browsers.js")).browsersPage, nav: "settings", saysAway: true },
  players: { load: async () => (await import("./views/players.js")).playersPage, nav: "settings", saysAway: true },
  sessions: { load: async () => (await import("./views/sessions.js")).sessionsPage, nav: "settings" },
  "account/events": { load: async () => (await import("./views/event_retention.js")).eventRetentionPage, nav: "settings" },
  "account/delete": { load: async () => (await import("./views/delete_account.js")).deleteAccountPage, nav: "settings" },
  "account/deleted": { load: async () => (await import("./views/delete_account.js")).accountDeletedPage, isOpen: true },
  theft: { load: async () => (await import("./views/theft.js")).theftPage, nav: "neighbours", saysAway: true },
  wifi: { load: async () => (await import("./views/wifi.js")).wifiPage, nav: "settings", saysAway: true },
};

/** @type {Route} */
const NOWHERE = { load: async () => (await import("./views/nowhere.js")).nowherePage };

/** What a guest's app has: nothing here decides anything, and the doorbell and the relay refuse what isn't theirs. */
const FOR_GUESTS = ["", "welcome", "join", "guest", "start", "ask", "pair", "live", "see", "history", "clip", "neighbours", "neighbours/write", "neighbours/mine", "neighbours/follow", "theft", "settings/notifications", "sessions", "account/delete"];
/** @type {Route} */
const FOR_OWNERS = { load: async () => (await import("./views/guest.js")).ownersOnlyPage };

/** The route that is shown: a guest isn't led to an owner's pages. @param {string} name @param {Route} route @param {boolean} isGuest */
export function openRoute(name, route, isGuest) {
  return isGuest && !FOR_GUESTS.includes(name) ? FOR_OWNERS : route;
}

/** A page's code or words can't be fetched. */
export class NotLoaded extends Error {}

/** Pages with an id behind their list: #/requests/{id}, #/history/{device}/{clip id}. @type {Record<string, {name: string, ids: number}>} */
const BEHIND = { requests: { name: "release", ids: 1 }, history: { name: "clip", ids: 2 } };

/** Where the reader is: a route, what its page is to know, and whether it is a request that is read. */
export function whereItIs() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean);
  const [name, depth] = nameOf(parts);
  const isKnown = Object.hasOwn(ROUTES, name) && (name !== "settings" || parts.length === 1);
  return { name, route: isKnown ? ROUTES[name] : NOWHERE, parts: parts.slice(depth), query: new URLSearchParams(search) };
}

/** The relay that the address leads to; null: any. An invitation that names none is the first one's. @param {string} first */
export function relayOfAddress(first) {
  const { query } = whereItIs();
  return query.get("relay") ?? (query.has("invitation") ? first : null);
}

/** The name of an address's route, and of how many parts of the address it is made. @param {string[]} parts @returns {[string, number]} */
function nameOf([first = "", second = "", ...more]) {
  const ids = [second, ...more].filter(Boolean).length;
  if (Object.hasOwn(BEHIND, first) && ids >= BEHIND[first].ids) return [BEHIND[first].name, 1];
  const deeper = `${first}/${second}`;
  return Object.hasOwn(ROUTES, deeper) ? [deeper, 2] : [first, 1];
}

/** Begins to fetch what will be shown first. @param {boolean} isSignedIn */
export function fetchAhead(isSignedIn) {
  const { route } = whereItIs();
  viewOf(isSignedIn || route.isOpen ? route : ROUTES.welcome).catch(() => {}); // it is asked for again
}

/** Fetches a page's code, and the words that it needs. @param {Route} route @returns {Promise<View>} */
export function viewOf({ load, isFirst, sheet }) {
  return loaded(load, isFirst, sheet);
}

/**
 * Fetches code, and the words and styles that it needs.
 * @template V @param {() => Promise<V>} load @param {boolean} [isFirst] the first ones are enough @param {string} [sheet] @returns {Promise<V>}
 */
export async function loaded(load, isFirst, sheet) {
  try {
    const [code] = await Promise.all([load(), isFirst || loadMoreWords(), isFirst || styleSheet("./style.css"), sheet && styleSheet(sheet)]);
    return code;
  } catch (error) {
    throw new NotLoaded("a part of the app can't be fetched", { cause: error });
  }
}
