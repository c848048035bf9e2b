/**
 * A snapshot of the app's last state, kept in this browser to open without a network: doorbells
 * and the newest events from the relay. Notes and pictures stay sealed in it.
 * @module
 */
import { nowMs } from "./town_time.js";
import { deleteKey, readKey, writeKey } from "./vendor/browser/key_store.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./household.js").Doorbell} Doorbell */
/** @typedef {import("./event_groups.js").ReportedEvent} ReportedEvent */
/** @typedef {{as_of_ms: number, doorbells: Doorbell[], tolds: ReportedEvent[]}} Snapshot */

const MOST_EVENTS = 80;
const PAUSE_MS = 2000;

/** @param {string} credentialId @param {string} relay the passkey may be the same at another one */
const storedAs = (credentialId, relay) => `snapshot:${credentialId}@${relay}`;

/**
 * Shows what was known, unless the relay has told more meanwhile.
 * @param {Household} household
 */
export async function restore(household) {
  try {
    /** @type {Snapshot | undefined} */
    const kept = await readKey(storedAs(household.owner.credential_id, household.relay.base));
    if (kept !== undefined) await household.restore(kept);
  } catch (error) {
    console.warn("what was known can't be read", error);
  }
}

/** Keeps what is known: at once, and then at most every other second. @param {Household} household @param {AbortSignal} signal */
export function keep(household, signal) {
  let timer = 0;
  let isDue = false;
  const isKnown = () => household.isLoaded && household.asOfMs === 0 && household.hasContact;
  const write = () => {
    isDue = false;
    timer = setTimeout(() => {
      timer = 0;
      if (isDue) write();
    }, PAUSE_MS);
    const snapshot = { as_of_ms: nowMs(), ...household.newest(MOST_EVENTS) };
    writeKey(storedAs(household.owner.credential_id, household.relay.base), snapshot).catch((error) => console.warn("snapshot", error));
  };
  const changed = () => {
    isDue = isKnown();
    if (isDue && timer === 0) write();
  };
  household.addEventListener("change", changed, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** @param {string} credentialId @param {string} relay */
export async function forget(credentialId, relay) {
  await deleteKey(storedAs(credentialId, relay));
  await deleteKey(`snapshot:${credentialId}`); // of an earlier version, which knew one relay
}
