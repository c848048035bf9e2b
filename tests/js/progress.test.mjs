/** When what is given goes, as the owner's app says it. */
import assert from "node:assert/strict";
import test from "node:test";

import { useCatalog } from "../../relay/owner_app/i18n.js";
import { goesAt } from "../../relay/owner_app/views/released_clips.js";

const BATCH_MS = 15 * 60_000;

/** An element of a page, as far as these views use one. */
class FakeElement {
  isConnected = true;
  /** @type {unknown[]} */
  children = [];
  setAttribute() {}
  /** @param {unknown} child */
  append(child) {
    this.children.push(child);
  }
  replaceChildren() {
    this.children = [];
  }
  /** @returns {string} */
  get textContent() {
    return this.children.map((child) => (child instanceof FakeElement ? child.textContent : child)).join("");
  }
}

Object.assign(globalThis, { Node: FakeElement, document: { createElement: () => new FakeElement() } });
useCatalog("en", "en-GB", { "progress.goes": "it goes at {time}" });

test("the time at which a release goes is a later one once its batch has passed", (context) => {
  context.mock.timers.enable({ apis: ["Date", "setTimeout"], now: Date.UTC(2026, 10, 29, 12, 0) });
  const clock = (/** @type {Date} */ date) => date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const end = (/** @type {number} */ number) => clock(new Date(Date.UTC(2026, 10, 29, 12, 15 * number)));
  const shown = /** @type {any} */ (goesAt(BATCH_MS));
  context.mock.timers.tick(BATCH_MS - 30_001);
  assert.match(shown.textContent, new RegExp(end(1)));
  context.mock.timers.tick(1);
  assert.match(shown.textContent, new RegExp(end(2)));
  context.mock.timers.tick(BATCH_MS);
  assert.match(shown.textContent, new RegExp(end(3)));
});
