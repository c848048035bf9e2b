/**
 * The memory of what was shown: each message once, however often it is carried, and of each
 * doorbell the time of its newest word.
 *
 * It is in the key store, which all pages and workers of this browser share; the lock makes one
 * look and note of two workers that run at once, such as an old and a new version.
 * @module
 */
import { readKey, writeKey } from "../vendor/browser/key_store.js";

const SHOWN = "worker:shown";
const HEARD = "worker:heard";
const LOCK = "doorward.shown";
const MOST_REMEMBERED = 300;

/** Remembers a message; false if it was shown already. @param {string} key @returns {Promise<boolean>} */
export function isNew(key) {
  return navigator.locks.request(LOCK, async () => {
    /** @type {string[]} */
    const shown = (await readKey(SHOWN)) ?? [];
    if (shown.includes(key)) return false;
    await writeKey(SHOWN, [...shown, key].slice(-MOST_REMEMBERED));
    return true;
  });
}

/**
 * Notes a doorbell's word of that time; tells whether none that was heard before is as new.
 * @param {string} device @param {number} timeMs @returns {Promise<boolean>}
 */
export function isNewest(device, timeMs) {
  return navigator.locks.request(LOCK, async () => {
    /** @type {Record<string, number>} */
    const heard = (await readKey(HEARD)) ?? {};
    if ((heard[device] ?? 0) >= timeMs) return false;
    await writeKey(HEARD, { ...heard, [device]: timeMs });
    return true;
  });
}
