/**
 * Moving out: leaving one doorbell with a record that it signs, and what stays in the public logs.
 * @module
 */
import { confirmSheet } from "../components/dialog.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { trustedKeys } from "../trust.js";
import { canonical } from "../vendor/protocol/encoding.js";
import { guarded, living } from "./parts.js";
import { standing, statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */

const STAYS = ["leaving.stays.releases", "leaving.stays.slots", "leaving.stays.keys", "leaving.stays.requests"];

/** @param {Context} context @param {string} device */
export function leavingSection(context, device) {
  const { household, relay } = context;
  const place = h("div", { "aria-live": "polite" });
  const problems = h("div", { "aria-live": "polite" });
  const { identity_key } = trustedKeys(household, device);
  const name = household.doorbell(device)?.name ?? device;
  const forget = guarded(problems, async () => {
    await relay.delete(`doorbells/${device}`).catch((error) => console.warn("the relay's side", error));
    await household.forgetDoor(device);
    await household.load();
    location.hash = "#/";
  });
  const leave = guarded(problems, async () => {
    const body = h("p", {}, t("owners.leave_help"));
    if (!(await confirmSheet({ title: t("leaving.ask", { name }), body, yes: t("owners.leave_now"), no: t("owners.stay"), isDangerous: true }))) return;
    const { credential_id } = household.owner;
    const digest = await sendStatement(household, device, { kind: "remove_owner", credential_id });
    /** @type {Node | undefined} made once: a button mustn't go away under a finger */
    let record;
    const content = () => {
      const signed = household.records.get(device);
      if (signed !== undefined) return [(record ??= recordPart(device, identity_key, signed)), forgetPart(forget)];
      if (standing(household, digest) === "refused") return statementProgress(household, digest, start, "person", device);
      return [...statementProgress(household, digest, start, "person", device), h("p", { class: "muted" }, t("leaving.wait")), forgetPart(forget)];
    };
    fill(place, living(context, content));
  });
  const start = () => fill(place, h("div", { class: "actions" }, h("button", { id: "leave", class: "danger", onclick: leave }, t("owners.leave"))));
  start();
  return h(
    "section",
    { class: "card", "data-device": device },
    h("p", { class: "lead" }, t("leaving.lead")),
    h("h3", {}, t("leaving.ends")),
    h("p", {}, t("leaving.ends_help")),
    h("h3", {}, t("leaving.stays")),
    h("ul", { id: "what-stays" }, STAYS.map((key) => h("li", {}, t(key)))),
    place,
    problems,
  );
}

/** @param {string} device @param {string} identityKey @param {{note: string, signature: string}} signed */
function recordPart(device, identityKey, signed) {
  const text = canonical({ identity_key: identityKey, ...signed });
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  return h(
    "div",
    { class: "notice", id: "moved-out", role: "status" },
    h("p", {}, t("leaving.done")),
    h("a", { class: "button primary", id: "save-record", href, download: `doorward-${device}-moved-out.json` }, t("leaving.save")),
  );
}

/** @param {(event: Event) => void} forget */
function forgetPart(forget) {
  return h("div", {}, h("p", {}, t("owners.forget_help")), h("button", { id: "forget-door", onclick: forget }, t("owners.forget")));
}
