/**
 * The states of the owner's released packages, as the relay says. They are asked for as long as a
 * request's page is open, whether anything was given there or not.
 * @module
 */
import { pause } from "./pause.js";

/** @typedef {{package_id: string, request_id: string, state: string, at_ms: number}} Package as the relay says */

const LOOK_EVERY_MS = 5000;

export class PackageStates {
  /** @param {import("./app.js").Context} context */
  constructor({ household, relay, left }) {
    /** @type {Map<string, string>} by package id */
    this.states = new Map();
    void this.#follow(household, relay, left);
  }

  /** Returns a package's state; "" is unknown. @param {string | undefined} id */
  of(id) {
    return this.states.get(id ?? "") ?? "";
  }

  /** @param {import("./household.js").Household} household @param {import("./api.js").Relay} relay @param {AbortSignal} left */
  async #follow(household, relay, left) {
    while (!left.aborted) {
      const { packages } = await relay.get("packages").catch(() => ({ packages: [] }));
      const news = packages.filter((/** @type {Package} */ one) => this.states.get(one.package_id) !== one.state);
      for (const { package_id, state } of news) this.states.set(package_id, state);
      if (news.length > 0) household.dispatchEvent(new CustomEvent("change"));
      await pause(LOOK_EVERY_MS, left);
    }
  }
}
