/**
 * Requests: first those that concern this door, as the doorbell itself said in sealed notes.
 * @module
 */
import { h, skeleton, fill } from "../dom.js";
import { decisionOn } from "../account.js";
import { spanText, t } from "../i18n.js";
import { parseRequestUnverified } from "../vendor/protocol/requests.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {{signed: import("../vendor/protocol/documents.js").SignedRequest, state: "open" | "expired" | "closed", published_ms: number, agency: import("../vendor/protocol/documents.js").Agency}} Published */

/** @param {Context} context */
export function requestsPage(context) {
  const { household, relay, left } = context;
  const place = h("div", {}, skeleton(3));
  /** @type {Published[]} */
  let published = [];
  const redraw = () => fill(place, content(published, household));
  const load = async () => {
    try {
      published = (await relay.get("requests")).requests;
      await household.heard();
      redraw();
      household.addEventListener("change", redraw, { signal: left });
    } catch (error) {
      fill(place, problem(error));
    }
  };
  household.addEventListener("request", async () => {
    published = (await relay.get("requests")).requests;
    redraw();
  }, { signal: left });
  load();
  return { title: t("requests.title"), body: [h("p", { class: "lead" }, t("requests.lead")), place] };
}

/** @param {Published[]} published @param {import("../household.js").Household} household */
function content(published, household) {
  const matches = household.matches;
  const items = published.map((item) => ({ ...item, request: parseRequestUnverified(item.signed) }));
  const mine = items.filter(({ request }) => matches.has(request.id));
  const others = items.filter(({ request }) => !matches.has(request.id));
  return [
    (household.isUntold || household.unopenedNotes > 0) &&
      h("div", { class: "notice" }, h("p", {}, t("requests.unopened")), h("p", {}, h("a", { href: "#/browsers" }, t("browsers.link")))),
    h("h2", {}, t("requests.yours")),
    mine.length
      ? h("ul", { class: "rows", id: "my-requests" }, mine.map(row))
      : h("p", { class: "empty" }, t("requests.none")),
    others.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, t("requests.others")),
        h("p", { class: "muted" }, t("requests.others_help")),
        h("ul", { class: "rows" }, others.map(row)),
      ),
  ];
}

/**
 * @param {Published & {request: import("../vendor/protocol/documents.js").EvidenceRequest}} item
 */
function row({ request, agency, state }) {
  const text = t("requests.ask", {
    agency: agency.name,
    span: spanText(request.from_ms, request.to_ms),
  });
  const decision = decisionOn(request.id);
  const done = decision === null ? null : t(decision === "refused" ? "requests.refused" : "requests.signed");
  const over = state === "open" ? null : t(`requests.${state}`);
  const detail = [t(`incident.${request.incident_type}`), over, done].filter(Boolean).join(" · ");
  return h(
    "li",
    { "data-testid": "request", "data-request": request.id },
    h("div", { class: "grow sentence" }, h("strong", {}, text), h("span", { class: "muted" }, detail)),
    h("a", { class: "button", href: `#/requests/${request.id}` }, t("requests.read")),
  );
}
