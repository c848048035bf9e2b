/**
 * The page of newcomers who wait to be admitted. An owner signs for them, and confirms it at the
 * doorbell.
 * @module
 */
import { fill, h, skeleton } from "../dom.js";
import { t } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { parseCanonical } from "../vendor/protocol/encoding.js";
import { commitmentOf } from "../vendor/protocol/pairing.js";
import { browsersSection } from "./browsers.js";
import { guarded, known, living, problem } from "./parts.js";
import { statementProgress } from "./progress.js";
import { readsSection } from "./reads.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{pairing_id: string, device: string, reveal: string}} Join */

/** @param {Context} context */
export function peoplePage(context) {
  const { household, relay, left } = context;
  const place = h("div", {}, skeleton(2));
  const load = async () => {
    try {
      await known(household);
      const { joins } = await relay.get("joins");
      const rows = await Promise.all(joins.map((/** @type {Join} */ join) => joinRow(context, join)));
      const nobody = () => h("p", { class: "empty" }, t("people.nobody"));
      fill(place, rows.length ? h("div", { id: "joins" }, rows) : nobody());
    } catch (error) {
      if (!left.aborted) fill(place, problem(error));
    }
  };
  load();
  return {
    title: t("people.title"),
    body: [
      h("p", { class: "lead" }, t("people.lead")),
      h("h2", {}, t("people.waiting")),
      place,
      browsersSection(context),
      h("p", {}, h("a", { id: "where-signed-in", href: "#/sessions" }, t("sessions.title"))),
      h("h2", {}, t("people.invite")),
      h("p", {}, t("people.invite_help")),
      readsSection(context),
    ],
  };
}

/** @param {Context} context @param {Join} join */
async function joinRow(context, join) {
  const { household } = context;
  const { device, reveal } = join;
  /** @type {{pairing_id: string, owner: import("../vendor/protocol/documents.js").OwnerKeys}} */
  const { pairing_id, owner } = parseCanonical(reveal);
  const commitment = await commitmentOf(reveal);
  const place = h("div", { "aria-live": "polite" });
  const problems = h("div", { "aria-live": "polite" });
  const label = t("people.let_in", { name: owner.name });
  const start = () =>
    fill(place, h("button", { class: "primary", "data-testid": "let-in", onclick: letIn }, label));
  const isIn = () =>
    household.history.some(({ event: { body } }) => body.type === "paired" && body.pairing_id === pairing_id);
  const letIn = guarded(problems, async () => {
    const digest = await sendStatement(household, device, { kind: "add_owner", pairing_id, owner, commitment });
    const done = () =>
      h("p", { class: "ok", "data-testid": "let-in-done" }, t("people.done", { name: owner.name }));
    fill(
      place,
      living(context, () => (isIn() ? [done()] : statementProgress(household, digest, start, "person"))),
    );
  });
  start();
  return h(
    "section",
    { class: "card", "data-testid": "join", "data-pairing": pairing_id },
    h("h3", {}, t("people.asks", { name: owner.name })),
    h("p", {}, t("people.widens", { door: household.doorbell(device)?.name ?? device })),
    h("p", {}, t("people.words", { name: owner.name })),
    place,
    problems,
  );
}
