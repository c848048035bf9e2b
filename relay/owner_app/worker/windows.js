/**
 * Opening a page of the app for the owner: in an open window, or in a new one.
 * @module
 */

/** @typedef {import("./scope.js").Clients} Clients */
/** @typedef {import("./scope.js").WindowClient} WindowClient */

/** @param {Clients} clients @param {string} scope @param {string} hash such as `#/live/…` */
export async function openApp(clients, scope, hash) {
  const open = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const mine = open.filter(({ url }) => url.startsWith(scope));
  const best = mine.find(isSeen) ?? mine[0];
  if (best === undefined) return void (await clients.openWindow(new URL(hash, scope).href));
  best.postMessage({ type: "open", hash });
  await best.focus();
}

/** @param {WindowClient} client */
function isSeen({ focused, visibilityState }) {
  return focused || visibilityState === "visible";
}
