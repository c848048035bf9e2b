/**
 * A new identity for a doorbell whose card was copied: the link that its own page takes.
 * @module
 */
import { fill, h } from "../dom.js";
import { t, time } from "../i18n.js";
import { guarded } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */

/** @param {Context} context */
export function identityPage(context) {
  const { household, parts } = context;
  const [device = ""] = parts;
  const place = h("div", { "aria-live": "polite" });
  const show = guarded(place, () => showLink(context, device, place));
  const name = household.doorbell(device)?.name ?? "";
  return {
    title: t("identity.title"),
    body: [
      h("p", { class: "lead" }, t("identity.lead", { name })),
      h("ol", {}, ["export", "link", "door", "pair"].map((step) => h("li", {}, t(`identity.step_${step}`)))),
      h("p", { class: "notice warning" }, t("identity.warning")),
      h("div", { class: "actions" }, h("button", { class: "primary", id: "show-link", onclick: show }, t("identity.show"))),
      place,
    ],
  };
}

/** @param {Context} context @param {string} device @param {HTMLElement} place */
async function showLink({ relay }, device, place) {
  const { link, expires_ms } = await relay.post(`doorbells/${device}/replacement`, {});
  const field = h("textarea", { id: "identity-link", rows: 5, readonly: true, spellcheck: "false" });
  field.value = link;
  field.addEventListener("focus", () => field.select());
  const said = h("span", { class: "muted", role: "status" });
  const copy = guarded(said, async () => {
    await navigator.clipboard.writeText(link);
    fill(said, t("players.copied"));
  });
  fill(
    place,
    h("label", { for: "identity-link" }, t("identity.field")),
    field,
    h("div", { class: "actions" }, h("button", { onclick: copy }, t("players.copy")), said),
    h("p", { class: "hint" }, t("identity.until"), " ", time(expires_ms)),
  );
}
