/**
 * The page of requests: first those concerning this door, by the doorbell's own sealed notes. It
 * fetches when it is opened and by the relay's own events, never because of a note.
 * @module
 */
import { decisionsOn } from "../account.js";
import { mayStand, settingsOf } from "../decision_notes.js";
import { fill, h, skeleton } from "../dom.js";
import { spanText, t, time } from "../i18n.js";
import { fetchRequests } from "../published_requests.js";
import { compare } from "../request_comparison.js";
import { nowMs } from "../town_time.js";
import { problem } from "./parts.js";
import { standing } from "./progress.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../decision_notes.js").Match} Match */
/** @typedef {import("../published_requests.js").Item} Item */

/** @param {Context} context */
export function requestsPage(context) {
  const { household, relay, left } = context;
  const place = h("div", {}, skeleton(3));
  /** @type {Item[]} */
  let items = [];
  const redraw = () => {
    if (!left.aborted) fill(place, content(items, household));
  };
  const load = async () => {
    try {
      [items] = await Promise.all([fetchRequests(relay), household.heard()]);
      redraw();
      household.addEventListener("change", redraw, { signal: left });
    } catch (error) {
      if (!left.aborted) fill(place, problem(error));
    }
  };
  const again = async () => {
    try {
      items = await fetchRequests(relay);
      redraw();
    } catch (error) {
      console.warn("requests", error);
    }
  };
  household.addEventListener("request", again, { signal: left });
  household.addEventListener("contact", () => household.hasContact && again(), { signal: left });
  void load();
  return { title: t("requests.title"), body: [h("p", { class: "lead" }, t("requests.lead")), place] };
}

/** @param {Item[]} items @param {Household} household */
function content(items, household) {
  const isMine = (/** @type {Item} */ item) => {
    const { same, different } = compare(household, item.request.id, item);
    return same.length + different.length > 0;
  };
  const mine = items.filter(isMine).sort(byUrgency);
  const others = items.filter((item) => !mine.includes(item));
  const hidden = household.matches.filter(
    (match) => mayStand(match, nowMs()) && !items.some(({ request, digest }) => request.id === match.request_id || digest === match.request_digest),
  );
  return [
    (household.isUntold || household.unopenedNotes > 0) &&
      h("div", { class: "notice" }, h("p", {}, t("requests.unopened")), h("p", {}, h("a", { href: "#/browsers" }, t("browsers.link")))),
    household.doorbells.map((bell) => optedOut(household, bell)),
    h("h2", {}, t("requests.yours")),
    mine.length + hidden.length
      ? h("ul", { class: "rows", id: "my-requests" }, mine.map((item) => row(item, household)), hidden.map(hiddenRow))
      : h("p", { class: "empty" }, t("requests.none")),
    others.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, t("requests.others")),
        h("p", { class: "muted" }, t("requests.others_help")),
        h("ul", { class: "rows" }, others.map((item) => row(item, household))),
      ),
  ];
}

/** Says so where a doorbell tells of no request, and where to change that. @param {Household} household @param {import("../household.js").Doorbell} bell */
function optedOut(household, { device, name }) {
  const { settings } = settingsOf(household, device);
  const isTold = household.matches.some((match) => match.device === device); // its own file may say so
  if (settings?.is_opted_in || (settings === null && isTold)) return null;
  const words = t(settings === null ? "requests.not_asked_yet" : "requests.opted_out", { door: name });
  return h("p", { class: "muted", "data-testid": "opted-out" }, words, " ", h("a", { href: `#/settings/police/${device}` }, t("settings.link")));
}

/** @param {Item} a @param {Item} b */
function byUrgency(a, b) {
  const isUrgent = (/** @type {Item} */ { state, request }) => Number(state === "open" && request.danger !== "");
  return isUrgent(b) - isUrgent(a) || b.published_ms - a.published_ms;
}

/** @param {Item} item @param {Household} household */
function row({ request, digest, agency, state }, household) {
  const { same, different } = compare(household, request.id, { request, digest, agency });
  const text = t("requests.ask", { agency: agency.name, span: spanText(request.from_ms, request.to_ms) });
  const over = state === "open" ? null : t(`requests.${state}`);
  const detail = [t(`incident.${request.incident_type}`), over, ...same.map((match) => answered(household, match))];
  return h(
    "li",
    { "data-testid": "request", "data-request": request.id },
    h(
      "div",
      { class: "grow sentence" },
      request.danger && same.length > 0 && h("strong", { class: "emergency-mark" }, t("requests.emergency")),
      h("strong", {}, text),
      same.some(({ is_example }) => is_example) && exampleTag(),
      different.length > 0 && h("p", { class: "warn-text" }, t("requests.different")),
      h("span", { class: "muted" }, detail.filter(Boolean).join(" · ")),
    ),
    h("a", { class: "button", href: `#/requests/${request.id}` }, t("requests.read")),
  );
}

/** What this browser knows of the answer. @param {Household} household @param {Match} match */
function answered(household, { device, request_digest }) {
  const { grant, revoke, decline } = decisionsOn(device, request_digest);
  if (revoke !== undefined) return t("requests.taken_back");
  if (grant !== undefined) return t(standing(household, grant.digest) === "done" ? "requests.given" : "requests.signed");
  return decline === undefined ? null : t("requests.refused");
}

/** A request that the doorbell read and the relay doesn't show. @param {Match} match */
function hiddenRow({ agency_name, told_ms, is_example }) {
  return h(
    "li",
    { "data-testid": "hidden-request" },
    h(
      "div",
      { class: "grow sentence" },
      h("strong", {}, t("requests.hidden", { agency: agency_name })),
      is_example && exampleTag(),
      h("span", { class: "muted" }, t("requests.hidden_help"), " · ", time(told_ms)),
    ),
  );
}

/** By the doorbell's own word: nobody really asks. */
function exampleTag() {
  return h("p", {}, h("span", { class: "tag", "data-testid": "invented-town" }, t("requests.example")));
}
