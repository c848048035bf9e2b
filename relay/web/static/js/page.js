/**
 * The module of every page of the relay: its texts, local times, posting, signing out.
 * @module
 */
import { filledApart } from "./protocol/plain_text.js";

const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");
const csrf = document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";

/** Where the pages begin on which one signs in as an administrator, or else as an officer. */
export const FACE = /^\/admin(\/|$)/.test(location.pathname) ? "/admin" : "/agency";

/** The relay refused; the message is its own. */
export class Refused extends Error {}

/**
 * Returns a text; `{name}` in it is replaced, each value apart from the words around it.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return filledApart(/** @type {string} */ (texts[key] ?? key), values);
}

/**
 * Posts JSON to the relay.
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>} JSON; callers name the type
 */
export async function post(path, body = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF": csrf },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Refused(t("offline"));
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(refusal(answer.error, response));
  return answer;
}

/** @param {{code: string, message: string, is_told?: boolean} | undefined} error @param {Response} response */
function refusal(error, response) {
  if (error?.is_told) return error.message;
  const known = `code.${error?.code}`;
  return known in texts ? t(known, { message: error?.message ?? "" }) : t("failed", { message: error?.message ?? response.statusText });
}

/** @param {string} id @returns {any} what the page's JSON block of that id holds, or null */
export function pageData(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "null");
}

/** Says how it goes, under the button. @param {string} text @param {{isBad?: boolean}} [how] */
export function say(text, { isBad = false } = {}) {
  const status = document.getElementById("status");
  if (status === null) return;
  status.textContent = text;
  status.classList.toggle("warn-text", isBad);
}

/**
 * Runs an action once at a time and says what went wrong.
 * @param {HTMLButtonElement | null} button
 * @param {() => Promise<void>} action
 */
export async function guarded(button, action) {
  if (button?.disabled) return;
  if (button) button.disabled = true;
  try {
    await action();
  } catch (error) {
    console.warn(error);
    const isCancelled = error instanceof Error && error.name === "PasskeyDeclined";
    const text = error instanceof Refused ? error.message : t("failed", { message: reason(error) });
    say(isCancelled ? t("cancelled") : text, { isBad: true });
  } finally {
    if (button) button.disabled = false;
  }
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Shows times in the reader's zone, which stands on hover and below the page. */
export function showLocalTimes() {
  const { lang } = document.documentElement;
  const locale = navigator.languages.find((code) => code.startsWith(lang)) ?? lang;
  const short = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
  for (const element of document.querySelectorAll("time[data-ms]")) {
    const ms = Number(element.getAttribute("data-ms"));
    element.textContent = short.format(ms);
    element.setAttribute("title", full.format(ms));
  }
  const span = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
  for (const element of document.querySelectorAll("[data-from-ms]")) {
    const [from, to] = ["from", "to"].map((end) => Number(element.getAttribute(`data-${end}-ms`)));
    element.textContent = span.formatRange(from, to);
    element.setAttribute("title", `${full.format(from)} – ${full.format(to)}`);
  }
  nameZone(locale);
}

/** Says whose times these are; without JavaScript each says UTC. @param {string} locale */
function nameZone(locale) {
  const line = document.getElementById("zone");
  if (line === null || document.querySelector("time[data-ms], [data-from-ms]") === null) return;
  const format = new Intl.DateTimeFormat(locale, { timeZoneName: "longGeneric" });
  const name = format.formatToParts().find((part) => part.type === "timeZoneName")?.value ?? "";
  const { timeZone } = format.resolvedOptions();
  line.textContent = t("zone", { zone: timeZone === "UTC" ? timeZone : `${name} (${timeZone})` });
  line.hidden = false;
}

function markCurrentPage() {
  const place = location.pathname.replace(/^\/for-agencies/, "/agency");
  for (const link of document.querySelectorAll("body > header nav a")) {
    const paths = `${link.getAttribute("href")} ${link.getAttribute("data-also") ?? ""}`.trim().split(" ");
    if (paths.some((path) => place.startsWith(path))) link.setAttribute("aria-current", "page");
  }
}

showLocalTimes();
markCurrentPage();
const signOut = /** @type {HTMLButtonElement | null} */ (document.getElementById("sign-out"));
signOut?.addEventListener("click", () =>
  guarded(signOut, async () => {
    await post(`${FACE}/logout`);
    location.assign(FACE);
  }),
);
