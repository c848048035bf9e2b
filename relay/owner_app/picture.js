/**
 * One event's thumbnail: fetched sealed, opened with this browser's viewing key, and verified with
 * the doorbell's own key. For pages and for the service worker.
 * @module
 */
import { WireError, unb64u } from "./vendor/protocol/encoding.js";
import { openThumbnail } from "./vendor/protocol/thumbnails.js";

/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {import("./worker_store.js").BrowserHere} BrowserHere */

/**
 * Fetches and opens one picture; ApiError `not_found` if there is none for this browser, WireError
 * if it isn't what the doorbell signed for this event.
 * @param {Relay} relay @param {BrowserHere} browser
 * @param {{device: string, eventId: string, identityKey: string}} of
 */
export async function fetchPicture(relay, browser, { device, eventId, identityKey }) {
  const path = `doorbells/${device}/thumbnails/${eventId}?browser=${browser.id}`;
  const { picture, key } = await relay.get(path, { cache: "default" }); // ciphertext: it may lie in the browser's cache
  const opened = await openThumbnail(picture, key, browser.pairs.viewing, unb64u(identityKey));
  if (opened.facts.device !== device || opened.facts.event_id !== eventId) {
    throw new WireError("the picture of another event");
  }
  return opened;
}
