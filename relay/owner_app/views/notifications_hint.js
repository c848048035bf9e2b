/**
 * The obstacles to notifications, and the line on the first page that offers them.
 * @module
 */
import { fill, h } from "../dom.js";
import { canNotify } from "../worker_registration.js";
import { t } from "../i18n.js";
import { readPush } from "../worker_store.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {"home_screen" | "none" | "failed" | "denied" | null} Obstacle */

const NO_HINT = "doorward.no-push-hint";

/**
 * One line on the first page, until notifications are on or the owner doesn't want to hear of it.
 * @param {Context} context
 */
export function notificationsHint({ installed, household, relayUrl, left }) {
  const place = h("div");
  const dismiss = () => {
    localStorage.setItem(NO_HINT, "1");
    fill(place);
  };
  const look = async () => {
    await installed.whenReady;
    const canAsk = obstacle(installed.registration) === null && household.doorbells.length > 0;
    if (!canAsk || localStorage.getItem(NO_HINT) !== null || (await readPush(relayUrl)) !== undefined) return fill(place);
    const link = h("a", { class: "button", id: "notify-me", href: "#/settings/notifications" }, t("push.hint_yes"));
    const no = h("button", { class: "quiet", id: "no-push-hint", onclick: dismiss }, t("push.hint_no"));
    fill(place, h("div", { class: "push-hint" }, h("p", {}, t("push.hint")), h("div", { class: "actions" }, link, no)));
  };
  household.addEventListener("change", () => place.childElementCount === 0 && void look(), { once: true });
  household.addEventListener("change", () => household.doorbells.length === 0 && fill(place), { signal: left });
  void look();
  return place;
}

/** @param {ServiceWorkerRegistration | null} registration @returns {Obstacle} */
export function obstacle(registration) {
  if (isUninstalledIphone()) return "home_screen";
  if (registration === null || !canNotify(registration)) return "none";
  return Notification.permission === "denied" ? "denied" : null;
}

/** On an iPhone or iPad only an app on the home screen gets pushes. */
function isUninstalledIphone() {
  const { userAgent, maxTouchPoints } = navigator;
  const isApple = /iPhone|iPad/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
  return isApple && !matchMedia("(display-mode: standalone)").matches && !("PushManager" in globalThis);
}
