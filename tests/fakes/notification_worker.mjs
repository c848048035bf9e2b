/**
 * A service worker's surroundings, in memory: notifications, locks, the app's words, a clock, and
 * every request that leaves.
 */
import { readFile } from "node:fs/promises";

import { memoryDatabase } from "./memory_database.mjs";

const LOCALES = new URL("../../relay/owner_app/locales/", import.meta.url);

/** @param {{maxActions?: number, language?: string}} [system] */
export function notificationWorker({ maxActions = 2, language = "en" } = {}) {
  globalThis.indexedDB = memoryDatabase();
  globalThis.Notification = { maxActions };
  const turns = new Map();
  const locks = {
    request: (name, work) => {
      const turn = (turns.get(name) ?? Promise.resolve()).then(work);
      turns.set(name, turn.catch(() => {}));
      return turn;
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  globalThis.caches = { match: async () => undefined };
  const worker = { requests: [], shown: new Map(), sounds: 0, language };
  globalThis.fetch = async (input) => {
    const url = String(input?.url ?? input);
    const words = /locales\/([a-z.]+\.json)$/.exec(url);
    if (words === null) {
      worker.requests.push(url);
      throw new TypeError("no network");
    }
    return new Response(await readFile(new URL(words[1], LOCALES), "utf8"));
  };
  worker.registration = {
    showNotification: async (title, options) => {
      const isAnew = !worker.shown.has(options.tag) || options.renotify === true;
      if (isAnew && options.silent !== true) worker.sounds += 1;
      const close = () => worker.shown.delete(options.tag);
      worker.shown.set(options.tag, { title, body: "", actions: [], ...structuredClone(options), close });
    },
    getNotifications: async ({ tag } = {}) => (tag === undefined ? [...worker.shown.values()] : [worker.shown.get(tag)].filter(Boolean)),
  };
  worker.only = () => {
    if (worker.shown.size !== 1) throw new Error(`${worker.shown.size} notifications: ${[...worker.shown.keys()]}`);
    return [...worker.shown.values()][0];
  };
  return worker;
}
