/**
 * Public keys that this browser keeps beside its account: for confirming, and of guests.
 * @module
 */
import { readJson, remembered } from "./account.js";

/** @typedef {import("./vendor/protocol/documents.js").BrowserKeys} BrowserKeys */

/** @typedef {{name: string, credential_id: string, added_ms?: number, words?: string[]}} Approver `added_ms`: in this browser; `words`: by the doorbell's own word */

/** The keys for confirming that this browser knows of: added here, or named by the doorbell when it was asked last. @param {string} device @returns {Approver[]} */
export function approversAdded(device) {
  return readJson(remembered("approvers", device)) ?? [];
}

/** @param {string} device @param {Approver[]} approvers */
export function rememberApprovers(device, approvers) {
  localStorage.setItem(remembered("approvers", device), JSON.stringify(approvers));
}

/** The public keys of a guest who was let in from this browser: with them they can be given more time. @param {string} device @param {string} browser @returns {BrowserKeys | null} */
export function guestKeys(device, browser) {
  return readJson(remembered("guest-keys", `${device}.${browser}`));
}

/** @param {string} device @param {string} browser @param {BrowserKeys} keys */
export function rememberGuestKeys(device, browser, keys) {
  localStorage.setItem(remembered("guest-keys", `${device}.${browser}`), JSON.stringify(keys));
}
