/**
 * The page of a doorbell's owners: the list, removing one, and leaving.
 *
 * Who hears from the doorbell is the relay's word; whom the doorbell's own page then names is its own.
 * @module
 */
import { fill, h, skeleton } from "../dom.js";
import { t } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { guarded, living, problem } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{name: string, credential_id: string}} Owner */

/** @param {Context} context @param {string} device */
export function ownersSection(context, device) {
  const { household, relay, left } = context;
  const list = h("div", {}, skeleton(1));
  const said = h("div", { "aria-live": "polite" });
  const load = async () => {
    try {
      const { owners } = await relay.get(`doorbells/${device}/owners`);
      const others = owners.filter((/** @type {Owner} */ one) => one.credential_id !== household.owner.credential_id);
      const rows = others.map((/** @type {Owner} */ one) => row(context, device, one, said));
      fill(list, rows.length ? h("ul", { class: "rows", id: "owners" }, rows) : h("p", { class: "empty" }, t("owners.alone")));
    } catch (error) {
      if (!left.aborted) fill(list, problem(error));
    }
  };
  void load();
  let changes = comingsAndGoings(household, device);
  const look = () => {
    if (comingsAndGoings(household, device) === changes) return;
    changes = comingsAndGoings(household, device);
    void load();
  };
  household.addEventListener("change", look, { signal: left });
  return h("section", {}, h("h2", {}, t("owners.title")), h("p", {}, t("owners.help")), list, said, going(context, device));
}

/** @param {Context} context @param {string} device @param {Owner} owner @param {HTMLElement} said */
function row(context, device, { name, credential_id }, said) {
  const remove = guarded(said, async () => {
    const digest = await sendStatement(context.household, device, { kind: "remove_owner", credential_id });
    const content = () => (isGone(context, name, digest) ? [gone(name)] : statementProgress(context.household, digest, () => fill(said), "person", device));
    fill(said, living(context, content));
  });
  const button = { id: `remove-${credential_id}`, "aria-label": t("owners.remove_label", { name }), onclick: remove };
  return h("li", { "data-testid": "owner" }, h("strong", { class: "grow" }, name), h("button", button, t("owners.remove")));
}

/** Going oneself takes effect at once, so it is asked twice. @param {Context} context @param {string} device */
function going(context, device) {
  const { household, relay } = context;
  const said = h("div", { "aria-live": "polite" });
  const place = h("div");
  const leave = guarded(said, async () => {
    const digest = await sendStatement(household, device, { kind: "remove_owner", credential_id: household.owner.credential_id });
    fill(place, living(context, () => statementProgress(household, digest, start, "person", device)), forgetButton());
  });
  const forget = guarded(said, async () => {
    await relay.delete(`doorbells/${device}`);
    await household.forgetDoor(device);
    await household.load();
    location.hash = "#/";
  });
  const forgetButton = () => [h("p", {}, t("owners.forget_help")), h("button", { id: "forget-door", onclick: forget }, t("owners.forget"))];
  const ask = () =>
    fill(
      place,
      h("p", {}, t("owners.leave_help")),
      h("div", { class: "choice" }, h("button", { id: "stay", onclick: start }, t("owners.stay")), h("button", { id: "leave-now", onclick: leave }, t("owners.leave_now"))),
    );
  const start = () => fill(place, h("button", { id: "leave", onclick: ask }, t("owners.leave")));
  start();
  return h("div", {}, place, said);
}

/** The doorbell told that this person is gone, after this was signed. @param {Context} context @param {string} name @param {string} digest */
function isGone({ household }, name, digest) {
  const asked = household.notesOn(digest).at(-1);
  return asked !== undefined && [...household.notes.values()].some(({ note, time_ms }) => note.body.type === "owner_removed" && note.body.name === name && time_ms >= asked.time_ms);
}

/** @param {string} name */
function gone(name) {
  return h("p", { class: "ok", "data-testid": "owner-gone", role: "status" }, t("owners.gone", { name }));
}

/** How often somebody came or went, as far as it is loaded. @param {import("../household.js").Household} household @param {string} device */
function comingsAndGoings({ told }, device) {
  return [...told.values()].filter(({ event }) => event.device === device && ["paired", "owner_gone"].includes(event.body.type)).length;
}
