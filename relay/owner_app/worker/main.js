/**
 * The service worker: caches the app's files, and shows rings while no page is open.
 *
 * Only the listeners are here; what they do is in the modules beside. A worker may be ended between
 * any two events, so nothing is held in it. sw.js, which is made with the list of the app's files
 * (relay/web/service_worker.mjs), calls this once.
 * @module
 */
import { renewSubscription } from "../push.js";
import * as hpke from "../vendor/hpke.js";
import { useHpke } from "../vendor/protocol/sealing.js";
import { storeOfPush, pageAt } from "./stores.js";
import { Pushed } from "./pushed.js";
import { RingOrders } from "./ring_orders.js";
import { Shell } from "./shell.js";
import { openApp } from "./windows.js";

/** @param {{version: string, files: Record<string, string>}} list each file's SHA-256 */
export function listen(list) {
  const worker = /** @type {import("./scope.js").WorkerScope} */ (/** @type {unknown} */ (self));
  const { registration } = worker;
  const shell = new Shell(caches, registration.scope, list);
  const pushed = new Pushed(registration);
  const orders = new RingOrders(registration);
  useHpke(hpke);

  worker.addEventListener("install", (event) => event.waitUntil(shell.install()));
  worker.addEventListener("activate", (event) => event.waitUntil(shell.forgetOthers()));
  worker.addEventListener("fetch", (event) => {
    const answer = shell.answer(event.request);
    if (answer !== null) event.respondWith(answer);
  });
  worker.addEventListener("message", ({ data }) => {
    if (data?.type === "take_over") void worker.skipWaiting();
  });
  worker.addEventListener("push", (event) => event.waitUntil(pushed.take(event.data?.text() ?? "")));
  worker.addEventListener("notificationclick", (event) => {
    const { device, relay, hash = device ? `#/live/${device}` : "#/" } = event.notification.data ?? {};
    const { action } = event;
    if (action === "reply" || action === "snooze") event.waitUntil(orders.give(event.notification, action));
    else {
      event.notification.close();
      event.waitUntil(pageAt(hash, relay).then((at) => openApp(worker.clients, registration.scope, at)));
    }
  });
  worker.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(storeOfPush().then((book) => renewSubscription(registration, book))));
}
