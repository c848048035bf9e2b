/**
 * Texts in the owner's language from the cached files: a ring mustn't wait for the network.
 * @module
 */
import { useCatalog } from "../i18n.js";

/** @param {import("../worker_store.js").Book} book */
export async function speakAs({ language, locale }) {
  const [first, more] = await Promise.all([language, `${language}.more`].map(words));
  useCatalog(language, locale, { ...first, ...more });
}

/** @param {string} name @returns {Promise<Record<string, string>>} */
async function words(name) {
  const file = `./locales/${name}.json`;
  const response = (await caches.match(file)) ?? (await fetch(file));
  return response.json();
}
