/**
 * The reader's language, from the files that are kept: a ring mustn't wait for the network.
 * @module
 */
import { useCatalog } from "../i18n.js";

/** @param {import("../worker_book.js").Book} book */
export async function speakAs({ language, locale }) {
  const file = `./locales/${language}.json`;
  const response = (await caches.match(file)) ?? (await fetch(file));
  useCatalog(language, locale, await response.json());
}
