/**
 * A doorbell's health below its card: one sentence, and all figures when it is opened.
 * @module
 */
import { h } from "../dom.js";
import { troublesOf } from "../event_groups.js";
import { STALE_MS, factsOf } from "../health.js";
import { agoText, t, time, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";

/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../household.js").Household} Household */

const REFRESH_MS = 60_000;

/** Which panels are open, and that what they show is fresh; one for a visit of the page. */
export class HealthPanels {
  /** @param {Household} household @param {AbortSignal} left */
  constructor(household, left) {
    this.household = household;
    /** @type {Set<string>} */
    this.open = new Set();
    const timer = setInterval(() => this.open.size && this.#refresh(), REFRESH_MS);
    left.addEventListener("abort", () => clearInterval(timer));
  }

  /** Returns a doorbell's panel; nothing before it has said how it is. @param {Doorbell} bell */
  panel({ device, health: last, troubles: told }) {
    if (last === null) return null;
    const { health, received_ms } = last;
    const facts = factsOf(health);
    const troubles = facts.filter((fact) => fact.isBad);
    const isWrong = troublesOf([...this.household.history, ...told], device).length > 0;
    const isStale = nowMs() - received_ms > STALE_MS;
    const words = isStale ? t("health.stale", { ago: agoText(received_ms) }) : verdict(troubles, isWrong);
    // The page is redrawn at every change: what is open stays open.
    const onclick = () => this.#toggle(device);
    return h(
      "details",
      { class: "health", open: this.open.has(device), "data-testid": "health" },
      h("summary", { id: `health-${device}`, onclick }, `${t("health.title")}: ${words}`),
      h("dl", { class: "terms" }, facts.map(row)),
      h("p", { class: "muted" }, t("health.received"), " ", time(received_ms)),
    );
  }

  /** @param {string} device */
  #toggle(device) {
    if (this.open.delete(device)) return;
    this.open.add(device);
    this.#refresh();
  }

  #refresh() {
    this.household.refresh().catch((error) => {
      console.warn("health", error); // what is shown stays, with its time
    });
  }
}

/** @param {import("../health.js").Fact[]} troubles @param {boolean} isWrong whether a trouble is told above */
function verdict(troubles, isWrong) {
  if (troubles.length === 0) return isWrong ? t("health.measured_well") : t("health.well");
  const [{ text, values }] = troubles;
  return troubles.length === 1 ? t(text, values) : tn("health.troubles", troubles.length);
}

/** @param {import("../health.js").Fact} fact */
function row({ name, text, values, isBad }) {
  const value = h("dd", { class: isBad ? "warn-text" : undefined, "data-fact": name }, t(text, values));
  return [h("dt", {}, t(`health.name.${name}`)), value];
}
