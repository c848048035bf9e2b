/**
 * Texts of the app: one catalog a language, loaded once; times and numbers in the same language.
 * @module
 */
import { h } from "./dom.js";
import { nowMs } from "./town_time.js";
import { filledApart } from "./vendor/protocol/plain_text.js";

export const LANGUAGES = /** @type {const} */ ({ en: "English", sv: "Svenska" });
const STORED_AS = "doorward.language";
const HALF_YEAR_MS = 183 * 24 * 3600 * 1000;

/** @type {Record<string, string>} */
let catalog = {};
/** The words that not every page needs. @type {Promise<Record<string, string>> | null} */
let more = null;
let language = "en";
/** The reader's own way to write times in that language, such as en-GB. */
let locale = "en";
/** A format is slow to make, and a page of a thousand rows needs each a thousand times. @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** Loads the reader's language: what the app's first pages say. */
export async function loadLanguage() {
  const chosen = chosenLanguage();
  const own = navigator.languages.find((code) => code.startsWith(chosen)) ?? chosen;
  useCatalog(chosen, own, await words(chosen));
  document.documentElement.lang = chosen;
}

/** Loads what all other pages say, if it isn't there. */
export async function loadMoreWords() {
  more ??= words(`${chosenLanguage()}.more`).catch((error) => {
    more = null;
    throw error;
  });
  const found = await more;
  catalog = { ...catalog, ...found };
}

/** @param {string} name @returns {Promise<Record<string, string>>} */
async function words(name) {
  const response = await fetch(`./locales/${name}.json`);
  if (!response.ok) throw new Error(`${name}.json: HTTP ${response.status}`);
  return response.json();
}

/**
 * For where there is no page that could say what was chosen.
 * @param {string} code @param {string} own the reader's way to write times in it @param {Record<string, string>} texts
 */
export function useCatalog(code, own, texts) {
  language = code;
  locale = own;
  catalog = texts;
  formats.clear();
}

/** @param {string} code remembers the choice and reloads the page */
export function chooseLanguage(code) {
  localStorage.setItem(STORED_AS, code);
  location.reload();
}

export function currentLocale() {
  return locale;
}

export function currentLanguage() {
  return language;
}

/**
 * Returns a text; `{name}` in it is replaced, each value apart from the words around it.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return filledApart(catalog[key] ?? key, values);
}

/** Tells whether the catalog has a text. @param {string} key */
export function hasText(key) {
  return key in catalog;
}

/**
 * Returns the text for a count: `key.one` or `key.other`, with {count}.
 * @param {string} key @param {number} count
 */
export function tn(key, count) {
  return t(`${key}.${new Intl.PluralRules(language).select(count)}`, { count });
}

/**
 * Returns a time for people, with the zone on hover.
 * @param {number} ms
 * @param {"clock" | "second" | "moment" | "day"} [style]
 */
export function time(ms, style = "moment") {
  const date = new Date(ms);
  const full = { dateStyle: /** @type {const} */ ("full"), timeStyle: /** @type {const} */ ("long") };
  const title = dateFormat(full).format(date);
  return h("time", { datetime: date.toISOString(), title }, timeText(ms, style));
}

/** @param {number} ms @param {"clock" | "second" | "moment" | "day"} [style] */
export function timeText(ms, style = "moment") {
  const digits = /** @type {const} */ ("2-digit");
  const second = style === "second" ? digits : undefined;
  const clock = dateFormat({ hour: digits, minute: digits, second }).format(ms);
  if (style === "clock" || style === "second") return clock;
  const day = dayText(ms);
  return style === "day" ? day.replace(/\.$/, "") : `${day} ${clock}`; // "5 okt", which may end a sentence
}

/** A day as a heading: "Today", "Yesterday", "Friday 27 November", with its year if it is another. @param {number} ms */
export function fullDayText(ms) {
  const text = dayText(ms);
  if ([t("time.today"), t("time.yesterday")].includes(text)) return text;
  const year = new Date(ms).getFullYear() === new Date(nowMs()).getFullYear() ? undefined : /** @type {const} */ ("numeric");
  const format = dateFormat({ weekday: "long", day: "numeric", month: "long", year }).format(ms);
  return format[0].toUpperCase() + format.slice(1);
}

/** A moment with its year, for what may be long ago. @param {number} ms */
export function dateText(ms) {
  return dateFormat({ dateStyle: "medium", timeStyle: "short" }).format(ms);
}

/** A moment inside a sentence: "today 14:00" begins with a small letter there. @param {number} ms */
export function timeWithin(ms) {
  const text = timeText(ms);
  const isWord = [t("time.today"), t("time.yesterday")].some((word) => text.startsWith(word));
  return isWord ? text[0].toLowerCase() + text.slice(1) : text;
}

/**
 * A span on one day as "Tuesday 24 November, 14:00–15:00".
 * @param {number} from
 * @param {number} to
 */
export function spanText(from, to) {
  const format = dateFormat({
    weekday: "long",
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
  });
  return format.formatRange(from, to);
}

/** A span within one day as "14:00–15:00". @param {number} from @param {number} to */
export function clockSpanText(from, to) {
  const clock = { hour: /** @type {const} */ ("2-digit"), minute: /** @type {const} */ ("2-digit") };
  return dateFormat(clock).formatRange(from, to);
}

/** @param {number} ms "42 s", "1 min" or "1 min 5 s" */
export function durationText(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 60) return t("time.seconds", { seconds });
  const minutes = Math.floor(seconds / 60);
  if (seconds % 60 === 0) return t("time.whole_minutes", { minutes });
  return t("time.minutes", { minutes, seconds: seconds % 60 });
}

/** @param {number} ms "0:05" or "1:05", for where a recording is */
export function lengthText(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {number} value "0.4", or "0,4" where the language writes so */
export function numberText(value) {
  return new Intl.NumberFormat(locale).format(value);
}

/** @param {number} ms "0.4 sec", for what lasts a moment */
export function momentText(ms) {
  const style = /** @type {const} */ ({ style: "unit", unit: "second", maximumFractionDigits: 1 });
  return new Intl.NumberFormat(locale, style).format(ms / 1000);
}

/** @param {number} ms "3 hours ago", for what lies in the past */
export function agoText(ms) {
  const minutes = Math.max(1, Math.round((nowMs() - ms) / 60_000));
  const format = new Intl.RelativeTimeFormat(locale);
  if (minutes < 90) return format.format(-minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 36 ? format.format(-hours, "hour") : format.format(-Math.round(hours / 24), "day");
}

/** @param {number} bytes "12.3 GB", or "180 MB" where it is less than one */
export function bytesText(bytes) {
  const [unit, size] = bytes >= 1e9 ? ["gigabyte", 1e9] : ["megabyte", 1e6];
  const style = /** @type {const} */ ({ style: "unit", maximumSignificantDigits: 3 });
  return new Intl.NumberFormat(locale, { ...style, unit: String(unit) }).format(bytes / Number(size));
}

/** @param {number} ms */
function dayText(ms) {
  const days = Math.round((midnight(nowMs()) - midnight(ms)) / 86_400_000);
  if (days === 0) return t("time.today");
  if (days === 1) return t("time.yesterday");
  const isFar = Math.abs(ms - nowMs()) > HALF_YEAR_MS; // a right of a year ends on today's date
  const format = { weekday: "short", day: "numeric", month: "short", year: isFar ? "numeric" : undefined };
  return dateFormat(/** @type {Intl.DateTimeFormatOptions} */ (format)).format(ms);
}

/** @param {number} ms */
function midnight(ms) {
  return new Date(ms).setHours(0, 0, 0, 0);
}

function chosenLanguage() {
  const wanted = [localStorage.getItem(STORED_AS), ...navigator.languages];
  const found = wanted.map((code) => code?.slice(0, 2)).find((code) => code && code in LANGUAGES);
  return found ?? "en";
}

/** @param {Intl.DateTimeFormatOptions} options */
function dateFormat(options) {
  const key = JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, format);
  return format;
}
