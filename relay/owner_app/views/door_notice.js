/**
 * The notice for passers-by on its settings page: the code for the door, and what the public page
 * says now, as the notice's own key signed it. The address comes from the doorbell's sealed note,
 * never from the relay.
 * @module
 */
import { doorNoticeOf, preferencesOf, settingsOf } from "../decision_notes.js";
import { fill, h, svg } from "../dom.js";
import { t, time, tn } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { checkNotice, NOTICE_DAYS } from "../vendor/protocol/door_notices.js";
import { WireError } from "../vendor/protocol/encoding.js";
import { guarded, living } from "./parts.js";
import { qrFigure } from "./qr_picture.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Doorbell} Doorbell */
/** @typedef {import("../vendor/protocol/documents.js").DoorNotice} DoorNotice */
/** @typedef {import("./setting_form.js").SettingForm} SettingForm */

const DAY_MS = 24 * 3600 * 1000;
const ASKED_AGAIN_MS = 5000;
const WIDTH = 1000;

/** The public address of a notice. @param {Context} context @param {string} noticeId */
export function noticeAddress({ relayUrl }, noticeId) {
  return new URL(`/notices/${noticeId}`, relayUrl).href;
}

/** @param {Context} context @param {Doorbell} bell @param {SettingForm} form */
export function noticeSection(context, bell, form) {
  const { household, left } = context;
  const place = h("div", {});
  let shown = "";
  const draw = () => {
    const now = doorNoticeOf(household, bell.device);
    const key = JSON.stringify(now);
    if (key === shown) return;
    shown = key;
    fill(place, now === null ? none(context, bell) : putUp(context, bell, now, form));
  };
  draw();
  household.addEventListener("change", draw, { signal: left });
  return h("section", { id: "notice" }, place);
}

/** @param {Context} context @param {Doorbell} bell */
function none({ household }, { device }) {
  const isTold = preferencesOf(household, device) !== null;
  return h("p", { class: "empty", id: "no-notice" }, t(isTold ? "notice.none" : "notice.never_told"));
}

/** @param {Context} context @param {Doorbell} bell @param {{noticeId: string, sinceMs: number}} now @param {SettingForm} form */
function putUp(context, bell, { noticeId, sinceMs }, form) {
  const address = noticeAddress(context, noticeId);
  const said = h("span", { class: "muted", role: "status" });
  const copy = guarded(said, async () => {
    await navigator.clipboard.writeText(address);
    fill(said, t("players.copied"));
  });
  const takeDown = () => {
    form.change("notice_contact", "");
    form.form.requestSubmit();
  };
  return [
    h("h2", {}, t("notice.code")),
    qrFigure(address, { id: "notice-code", label: t("notice.code_label") }),
    h("p", { class: "address" }, h("code", { id: "notice-address" }, address)),
    h(
      "div",
      { class: "actions" },
      h("a", { class: "button primary", id: "to-sheet", href: `#/notice/${bell.device}` }, t("notice.sheet")),
      h("a", { class: "button", id: "read-notice", href: address, target: "_blank", rel: "noreferrer" }, t("notice.open")),
      h("button", { type: "button", id: "copy-notice", onclick: copy }, t("notice.copy")),
      said,
    ),
    h("h2", {}, t("notice.says")),
    h("p", { class: "muted", id: "notice-since" }, t("notice.since"), " ", time(sinceMs)),
    away(context, bell),
    whatItSays(context, bell, { noticeId, sinceMs }),
    h("p", {}, t("notice.take_down_help")),
    h("div", { class: "actions" }, h("button", { type: "button", class: "danger", id: "take-down", onclick: takeDown }, t("notice.take_down"))),
  ];
}

/** @param {Context} context @param {Doorbell} bell */
function away(context, { device }) {
  return living(context, () => {
    const bell = context.household.doorbell(device);
    if (!context.household.hasContact || bell?.state !== "offline") return [];
    return [h("p", { class: "notice", id: "notice-away" }, t("notice.away"), " ", time(bell.since_ms))];
  });
}

/**
 * What the relay shows, asked anew with each change, and as long as it isn't what the doorbell is to say.
 * @param {Context} context @param {Doorbell} bell @param {{noticeId: string, sinceMs: number}} now
 */
function whatItSays({ household, relay, left }, { device }, { noticeId, sinceMs }) {
  const place = h("div", { id: "notice-says" }, h("p", { class: "muted" }, t("notice.looking")));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer = undefined;
  let drawn = "";
  const ask = async (/** @type {boolean} */ isLast) => {
    clearTimeout(timer);
    const wanted = settingsOf(household, device).settings?.notice_contact;
    /** @type {DoorNotice | null | undefined} undefined: not known */
    let notice = undefined;
    let isFalse = false;
    try {
      const { shown } = await relay.get(`doorbells/${device}/door-notice`);
      notice = shown === null ? null : await checkNotice(shown, noticeId);
    } catch (error) {
      isFalse = error instanceof WireError;
    }
    if (left.aborted) return;
    const isSettled = notice != null && (wanted === undefined || wanted === notice.contact);
    if (!isSettled || !isLast) timer = setTimeout(() => void ask(true), ASKED_AGAIN_MS);
    const key = JSON.stringify([notice === undefined ? "unknown" : notice, isFalse, isSettled]);
    if (key === drawn) return;
    drawn = key;
    if (isFalse) fill(place, h("p", { class: "warning", id: "notice-false", role: "alert" }, t("notice.false")));
    else if (notice === undefined) fill(place, h("p", { class: "notice", role: "status" }, t("notice.unknown")));
    else if (notice === null) fill(place, notShown(sinceMs));
    else fill(place, !isSettled && h("p", { class: "notice", id: "notice-older", role: "status" }, t("notice.older")), said(notice));
  };
  let known = "";
  const look = () => {
    const key = JSON.stringify([settingsOf(household, device).settings, household.doorbell(device)?.state, household.hasContact]);
    if (key === known) return;
    known = key;
    void ask(false);
  };
  look();
  household.addEventListener("change", look, { signal: left });
  left.addEventListener("abort", () => clearTimeout(timer));
  return place;
}

/** @param {number} sinceMs */
function notShown(sinceMs) {
  const isOld = nowMs() - sinceMs > NOTICE_DAYS * DAY_MS;
  return h("p", { class: "notice", id: "notice-not-shown", role: "status" }, isOld ? t("notice.gone", { days: NOTICE_DAYS }) : t("notice.not_yet"));
}

/** @param {DoorNotice} notice */
function said(notice) {
  const sound = notice.is_sound_recorded ? (notice.is_sound_live ? "both" : "recorded") : notice.is_sound_live ? "live" : "none";
  const lines = [
    t("notice.contact", { contact: notice.contact }),
    tn("notice.masks", notice.masks.length),
    t(notice.is_motion_recorded ? "notice.motion" : "notice.rings"),
    t(`notice.sound.${sound}`),
    tn("notice.keep", notice.keep_days),
    notice.recorders === 0 ? t("notice.nobody") : t("notice.recorders", { count: notice.recorders }),
  ];
  return h(
    "div",
    {},
    pictureOf(notice),
    h("ul", { id: "notice-lines" }, lines.map((line) => h("li", {}, line))),
    h("p", { class: "muted" }, t("notice.told"), " ", time(notice.told_ms)),
  );
}

/** @param {DoorNotice} notice */
function pictureOf({ masks, shape_permille: height }) {
  const polygons = masks.map((mask) => svg("polygon", { class: "mask", points: mask.map(([x, y]) => `${x},${(y * height) / 1000}`).join(" ") }));
  const label = t("notice.picture", { count: masks.length });
  return h("figure", { class: "notice-picture" }, svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, polygons));
}
