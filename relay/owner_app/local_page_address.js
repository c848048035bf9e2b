/**
 * The address of the doorbell's own page, with this reader's language and time zone: it has no
 * script that could ask for them, and every face says the same time.
 * @module
 */
import { currentLanguage } from "./i18n.js";

/** @param {string} url of the doorbell's page @returns {string} */
export function localPageAddress(url) {
  const address = new URL(url);
  address.searchParams.set("lang", currentLanguage());
  address.searchParams.set("zone", new Intl.DateTimeFormat().resolvedOptions().timeZone);
  return address.href;
}
