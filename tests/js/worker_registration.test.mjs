/**
 * The app's worker, as a page that hangs sees it.
 */
import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { WorkerRegistration, START_WITHIN_MS } from "../../relay/owner_app/worker_registration.js";

test("a first page that hangs keeps no worker waiting, nor what it says unheard", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const worker = new EventTarget();
  const registered = [];
  const registration = Object.assign(new EventTarget(), { installing: null, waiting: null, active: null });
  worker.controller = null;
  worker.register = async (url) => (registered.push(url), registration);
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker: worker }, configurable: true });
  globalThis.location = { hash: "" };
  globalThis.document = new EventTarget();
  const installed = new WorkerRegistration();
  installed.listen();
  worker.dispatchEvent(Object.assign(new Event("message"), { data: { type: "open", hash: "#/live" } }));
  assert.equal(location.hash, "#/live");
  mock.timers.tick(START_WITHIN_MS - 1);
  assert.deepEqual(registered, []);
  mock.timers.tick(1);
  await installed.whenReady;
  await installed.start();
  assert.deepEqual(registered, ["./sw.js"]);
  mock.timers.reset();
});

test("where a browser registers none, there is none", async () => {
  const worker = Object.assign(new EventTarget(), { controller: null, register: async () => undefined });
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker: worker }, configurable: true });
  const installed = new WorkerRegistration();
  await installed.start();
  await installed.whenReady;
  assert.equal(installed.registration, null);
  assert.equal(installed.isKept, false);
});
