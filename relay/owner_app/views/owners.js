/**
 * The list of a doorbell's owners, with their passkeys, and removing one.
 *
 * Who hears from the doorbell is the relay's word; whom the doorbell's own page then names is its own.
 * @module
 */
import { fill, h, skeleton } from "../dom.js";
import { whenOf } from "../event_groups.js";
import { t, time } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { guarded, living, problem } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{name: string, credential_id: string}} Owner */

/** @param {Context} context @param {string} device @param {{hasHeading?: boolean}} [how] */
export function ownersSection(context, device, { hasHeading = true } = {}) {
  const { household, relay, left } = context;
  const list = h("div", {}, skeleton(1));
  const said = h("div", { "aria-live": "polite" });
  const load = async () => {
    try {
      const { owners } = await relay.get(`doorbells/${device}/owners`);
      const rows = owners.map((/** @type {Owner} */ one) => row(context, device, one, said));
      fill(list, h("ul", { class: "rows", id: "owners" }, rows), rows.length < 2 && h("p", { class: "muted" }, t("owners.alone")));
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
  return h("section", {}, hasHeading && h("h2", {}, t("owners.title")), h("p", {}, t("owners.help")), list, said);
}

/** @param {Context} context @param {string} device @param {Owner} owner @param {HTMLElement} said */
function row(context, device, { name, credential_id }, said) {
  const remove = guarded(said, async () => {
    const digest = await sendStatement(context.household, device, { kind: "remove_owner", credential_id });
    const content = () => (isGone(context, name, digest) ? [gone(name)] : statementProgress(context.household, digest, () => fill(said), "person", device));
    fill(said, living(context, content));
  });
  const isYou = credential_id === context.household.owner.credential_id;
  const button = { id: `remove-${credential_id}`, "aria-label": t("owners.remove_label", { name }), onclick: remove };
  const since = becameMs(context.household, device, credential_id);
  const words = h(
    "div",
    { class: "grow" },
    h("strong", {}, isYou ? t("owners.you", { name }) : name),
    h("p", { class: "muted" }, t("owners.passkey", { id: credential_id.slice(-6) }), since > 0 && [" · ", t("owners.since"), " ", time(since, "day")]),
  );
  return h("li", { "data-testid": isYou ? "this-owner" : "owner" }, words, !isYou && h("button", button, t("owners.remove")));
}

/** When this passkey became an owner's, as far as that is loaded; else 0. @param {import("../household.js").Household} household @param {string} device @param {string} credentialId */
function becameMs(household, device, credentialId) {
  const told = household.history.find(({ event: { body, ...event } }) => event.device === device && body.type === "paired" && body.credential_id === credentialId);
  return told === undefined ? 0 : whenOf(told).ms;
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
