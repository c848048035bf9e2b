/**
 * The page of another Wi-Fi network for one doorbell: a code for its camera, made and shown here.
 *
 * The network is sealed to the doorbell and signed by the passkey in this browser. Nothing of it
 * goes to the relay, and nothing of it is kept: neither name nor password outlives the page.
 * @module
 */
import { lastWifiOf } from "../decision_notes.js";
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { nowMs } from "../town_time.js";
import { isOwnStatement, trustedKeys } from "../trust.js";
import { signDocument } from "../vendor/browser/passkey.js";
import { CODE_LIFE_MS, WIFI_TAG, sealWifi, wifiCode, wifiDocument, wifiProblem } from "../vendor/protocol/wifi.js";
import { unknownDoorbell } from "./no_doorbell.js";
import { guarded, living } from "./parts.js";
import { qrFigure } from "./qr_picture.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../vendor/protocol/wifi.js").WifiWish} WifiWish */

const LOOK_EVERY_MS = 1000;

/** @param {Context} context */
export async function wifiPage(context) {
  const { household, parts } = context;
  await household.heard();
  const bell = household.doorbell(parts[0] ?? household.doorbells[0]?.device);
  const title = t("wifi.title");
  if (bell === undefined) return { title, body: unknownDoorbell(context, parts[0]) };
  const place = h("div");
  const { device } = bell;
  if (isOwnStatement(device)) showForm(context, device, place);
  else fill(place, h("div", { class: "warning", id: "wifi-no-key", role: "alert" }, h("p", {}, t("wifi.no_key"))));
  return {
    title,
    body: [h("p", { class: "lead" }, t("wifi.lead", { door: bell.name })), lastOutcome(context, device), place],
  };
}

/** What the doorbell itself said last of a network. @param {Context} context @param {string} device */
function lastOutcome(context, device) {
  return living(context, () => {
    const last = lastWifiOf(context.household, device);
    if (last === null) return [];
    const { name, reason, at_ms } = last;
    const kind = reason === "" ? "ok" : "warning";
    return [h("p", { class: kind, id: "wifi-outcome", role: "status" }, t(`wifi.ended.${reason || "kept"}`, { name }), " ", h("span", { class: "muted" }, time(at_ms)))];
  });
}

/** @param {Context} context @param {string} device @param {HTMLElement} place */
function showForm(context, device, place) {
  const said = h("div", { "aria-live": "polite" });
  const ssid = h("input", { id: "wifi-name", type: "text", required: true, autocomplete: "off", autocapitalize: "none", spellcheck: false });
  const password = h("input", { id: "wifi-password", type: "password", required: true, autocomplete: "off", maxlength: 64, "aria-describedby": "about-password" });
  const shown = h("input", { id: "wifi-show", type: "checkbox", onchange: () => (password.type = shown.checked ? "text" : "password") });
  const security = h("select", { id: "wifi-security" }, h("option", { value: "wpa2" }, t("wifi.wpa2")), h("option", { value: "wpa3" }, t("wifi.wpa3")));
  const country = h("input", { id: "wifi-country", type: "text", required: true, maxlength: 2, autocomplete: "off", value: regionHere(), "aria-describedby": "about-country" });
  const hidden = h("input", { id: "wifi-hidden", type: "checkbox" });
  const make = guarded(said, async () => {
    /** @type {WifiWish} */
    const wish = {
      ssid: ssid.value,
      password: password.value,
      security: security.value === "wpa3" ? "wpa3" : "wpa2",
      country: country.value.trim().toUpperCase(),
      isHidden: hidden.checked,
    };
    const wrong = wifiProblem(wish);
    if (wrong !== null) {
      fill(said, h("p", { class: "warning", id: "wifi-wrong", role: "alert" }, t(`wifi.wrong.${wrong}`)));
      return;
    }
    const { code, endsMs } = await signedCode(context, device, wish);
    showCode(context, device, place, code, endsMs);
  });
  fill(
    place,
    h(
      "form",
      { id: "wifi-form", onsubmit: make },
      h("label", { for: ssid.id }, t("wifi.name")),
      ssid,
      h("label", { for: password.id }, t("wifi.password")),
      password,
      h("p", { class: "hint", id: "about-password" }, t("wifi.password_help")),
      h("label", { for: shown.id }, shown, t("wifi.show")),
      h("label", { for: security.id }, t("wifi.security")),
      security,
      h("label", { for: country.id }, t("wifi.country")),
      country,
      h("p", { class: "hint", id: "about-country" }, t("wifi.country_help")),
      h("label", { for: hidden.id }, hidden, t("wifi.hidden")),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "make-wifi-code" }, t("wifi.make"))),
    ),
    said,
    h("p", { class: "muted" }, t("wifi.privacy")),
  );
}

/**
 * Seals a network to the doorbell's own key, and has the passkey sign that.
 * @param {Context} context @param {string} device @param {WifiWish} wish
 */
async function signedCode({ household }, device, wish) {
  const { owner } = household;
  const endsMs = nowMs() + CODE_LIFE_MS;
  const sealed = await sealWifi(wish, { device, sealingKey: trustedKeys(household, device).sealing_key, expiresMs: endsMs });
  const assertion = await signDocument({
    tag: WIFI_TAG,
    document: wifiDocument(device, sealed),
    credentialId: owner.credential_id,
    rpId: owner.rp_id,
  });
  return { code: await wifiCode(device, sealed, assertion, owner.origin), endsMs };
}

/** @param {Context} context @param {string} device @param {HTMLElement} place @param {string} code @param {number} endsMs */
function showCode(context, device, place, code, endsMs) {
  const left = h("p", { class: "muted", id: "wifi-left", role: "timer" });
  const anew = () => showForm(context, device, place);
  const count = () => {
    const leftS = Math.ceil((endsMs - nowMs()) / 1000);
    if (leftS > 0) {
      fill(left, t("wifi.left", { left: `${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, "0")}` }));
      return;
    }
    clearInterval(ticking);
    fill(place, h("p", { class: "warning", id: "wifi-over", role: "status" }, t("wifi.over")), again(anew));
  };
  const ticking = setInterval(count, LOOK_EVERY_MS);
  context.left.addEventListener("abort", () => clearInterval(ticking));
  fill(
    place,
    h("ol", { class: "steps" }, ["wifi.step1", "wifi.step2", "wifi.step3"].map((key) => h("li", {}, t(key)))),
    qrFigure(code, { id: "wifi-qr", label: t("wifi.qr_label") }),
    left,
    h("p", {}, t("wifi.then")),
    h("p", {}, t("wifi.if_not")),
    again(() => {
      clearInterval(ticking);
      anew();
    }),
  );
  count();
}

/** @param {() => void} anew */
function again(anew) {
  return h("div", { class: "actions" }, h("button", { id: "wifi-again", onclick: anew }, t("wifi.again")));
}

/** The country that this browser's language names, if it names one; only a proposal. */
function regionHere() {
  return navigator.languages.map((language) => new Intl.Locale(language).region).find((region) => region !== undefined && /^[A-Z]{2}$/.test(region)) ?? "";
}
