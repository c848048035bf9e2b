/**
 * The published requests: fetched as the relay's one list, which is the same for all. Neither what
 * is fetched nor how far events are loaded back depends on which request is opened, or on what a
 * doorbell told of any.
 * @module
 */
import { Unreachable } from "./api.js";
import { nowMs } from "./town_time.js";
import { readKey, writeKey } from "./vendor/browser/key_store.js";
import { parseRequestUnverified, requestDigest } from "./vendor/protocol/requests.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./vendor/protocol/documents.js").Agency} Agency */
/** @typedef {import("./vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {{signed: import("./vendor/protocol/documents.js").SignedRequest, state: "open" | "renewed" | "withdrawn" | "expired", published_ms: number, agency: Agency}} Published */
/** @typedef {Published & {request: EvidenceRequest, digest: string}} Item */
/** @typedef {{items: Item[], asOfMs: number}} Known `asOfMs`: when the list was kept, if the relay can't be reached; else 0 */

const STORED_AS = "requests";

/** Fetches the list; nothing in it is verified yet. @param {import("./api.js").Relay} relay @returns {Promise<Item[]>} */
export async function fetchRequests(relay) {
  const { requests } = await relay.get("requests");
  writeKey(STORED_AS, { as_of_ms: nowMs(), requests }).catch((error) => console.warn("the list isn't kept", error));
  return itemsOf(requests);
}

/** Fetches the list, or returns the one that was fetched last if the relay can't be reached. @param {import("./api.js").Relay} relay @returns {Promise<Known>} */
export async function knownRequests(relay) {
  try {
    return { items: await fetchRequests(relay), asOfMs: 0 };
  } catch (error) {
    /** @type {{as_of_ms: number, requests: Published[]} | undefined} */
    const kept = error instanceof Unreachable ? await readKey(STORED_AS) : undefined;
    if (kept === undefined) throw error;
    return { items: await itemsOf(kept.requests), asOfMs: kept.as_of_ms };
  }
}

/** @param {Published[]} requests @returns {Promise<Item[]>} */
function itemsOf(requests) {
  return Promise.all(
    requests.map(async (one) => ({
      ...one,
      request: parseRequestUnverified(one.signed),
      digest: await requestDigest(one.signed),
    })),
  );
}

/** Loads events back to the earliest time that any open request asks for. @param {Household} household @param {Item[]} items */
export async function loadBackForAll(household, items) {
  const open = items.filter(({ state }) => state === "open");
  if (open.length > 0) await household.loadBackTo(Math.min(...open.map(({ request }) => request.from_ms)));
}
