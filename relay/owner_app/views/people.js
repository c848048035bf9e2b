/**
 * The page of people and devices: who waits to be let in, this owner's own phones and browsers with
 * a way to end one that is lost, and rows that lead to owners, guests, players and who looked.
 * @module
 */
import { rows } from "../components/rows.js";
import { knownBrowsers } from "../known_browsers.js";
import { fill, h, skeleton } from "../dom.js";
import { t } from "../i18n.js";
import { sendStatement } from "../statements.js";
import { nowMs } from "../town_time.js";
import { parseCanonical } from "../vendor/protocol/encoding.js";
import { commitmentOf } from "../vendor/protocol/pairing.js";
import { browsersSection } from "./browsers.js";
import { guestJoin } from "./guests.js";
import { guarded, known, living, problem } from "./parts.js";
import { statementProgress } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{pairing_id: string, device: string, reveal: string}} Join */

/** @param {Context} context */
export async function peoplePage(context) {
  await known(context.household);
  return {
    title: t("settings.group.people"),
    body: [h("p", { class: "lead" }, t("people.lead")), waiting(context), browsersSection(context), groups(context)],
  };
}

/** Those who ask to be let in; nothing where nobody does. @param {Context} context */
function waiting(context) {
  const { relay, left } = context;
  const place = h("div", { id: "waiting" }, skeleton(1));
  const load = async () => {
    try {
      const { joins } = await relay.get("joins");
      const all = await Promise.all(joins.map((/** @type {Join} */ join) => joinRow(context, join)));
      const heading = () => h("h2", {}, t("people.waiting"));
      fill(place, all.length > 0 && [heading(), h("div", { id: "joins" }, all)]);
    } catch (error) {
      if (!left.aborted) fill(place, problem(error));
    }
  };
  void load();
  return place;
}

/** @param {Context} context */
function groups(context) {
  const { household } = context;
  return living(context, () => {
    const all = knownBrowsers(household, nowMs());
    const count = (/** @type {string} */ holder) => String(new Set(all.filter((one) => one.holder === holder).map(({ browser }) => browser)).size);
    return [
      rows(
        [
          { icon: "people", id: "people-owners", title: t("owners.title"), more: t("people.owners_what"), href: "#/people/owners" },
          { icon: "people", id: "people-guests", title: t("guests.title"), more: t("people.guests_what"), value: count("guest"), href: "#/people/guests" },
          { icon: "camera", id: "other-players", title: t("players.title"), more: t("people.players_what"), value: count("player"), href: "#/players" },
          { icon: "history", id: "people-looked", title: t("looked.title"), more: t("people.looked_what"), href: "#/people/looked" },
          { icon: "settings", id: "where-signed-in", title: t("sessions.title"), more: t("people.sessions_what"), href: "#/sessions" },
          { icon: "door", id: "people-leave", title: t("leaving.title"), more: t("people.leave_what"), href: "#/people/leave" },
        ],
        { id: "people-groups" },
      ),
    ];
  });
}

/** @param {Context} context @param {Join} join */
async function joinRow(context, join) {
  const keys = parseCanonical(join.reveal);
  return "browser" in keys ? guestJoin(context, join) : ownerJoin(context, join);
}

/** @param {Context} context @param {Join} join */
async function ownerJoin(context, join) {
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
