/**
 * Which relay's doorbells a push is of: a browser may be at several, and is shown one at a time.
 * @module
 */
import { readAnyPush, readWorkerStores } from "../worker_store.js";

/** @typedef {import("../worker_store.js").Book} Book */

/** That of the relay where notifications are on; an earlier version didn't note where. @returns {Promise<Book | undefined>} */
export async function storeOfPush() {
  const [books, push] = [await readWorkerStores(), await readAnyPush()];
  const all = Object.values(books);
  return push?.relay_url === undefined && all.length === 1 ? all[0] : books[push?.relay_url ?? ""];
}

/** That in which a doorbell is; of several, as after a move, that of the relay where notifications are on. @param {string} device */
export async function storeOf(device) {
  const books = [await storeOfPush(), ...Object.values(await readWorkerStores())];
  return books.find((book) => book?.doorbells.some((one) => one.device === device));
}

/** The address of a page at a relay: as it is where there is no other. @param {string} hash @param {string | undefined} relay */
export async function pageAt(hash, relay) {
  const books = await readWorkerStores();
  const isOne = Object.keys(books).length < 2;
  return relay === undefined || isOne || !Object.hasOwn(books, relay) ? hash : `${hash}?relay=${encodeURIComponent(relay)}`;
}
