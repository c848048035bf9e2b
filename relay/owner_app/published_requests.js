/**
 * The published requests: fetched as the relay's one list, which is the same for all. Neither what
 * is fetched nor how far events are loaded back depends on which request is opened, or on what a
 * doorbell told of any.
 * @module
 */
import { parseRequestUnverified, requestDigest } from "./vendor/protocol/requests.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./vendor/protocol/documents.js").Agency} Agency */
/** @typedef {import("./vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {{signed: import("./vendor/protocol/documents.js").SignedRequest, state: "open" | "renewed" | "withdrawn" | "expired", published_ms: number, agency: Agency}} Published */
/** @typedef {Published & {request: EvidenceRequest, digest: string}} Item */

/** Fetches the list; nothing in it is verified yet. @param {import("./api.js").Relay} relay @returns {Promise<Item[]>} */
export async function fetchRequests(relay) {
  const { requests } = await relay.get("requests");
  return Promise.all(
    requests.map(async (/** @type {Published} */ one) => ({
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
