/**
 * The page of requests: first those concerning this door, by the doorbell's own sealed notes, each
 * with how it stands. It fetches when it is opened and by the relay's own events, never because of
 * a note; what became of packages is asked for as long as it is open, whether anything was given.
 * @module
 */
import { empty } from "../components/controls.js";
import { mayStand, settingsOf } from "../decision_notes.js";
import { fill, h, skeleton } from "../dom.js";
import { spanText, t, time, timeText } from "../i18n.js";
import { icon } from "../icons.js";
import { PackageStates } from "../package_states.js";
import { fetchRequests, knownRequests } from "../published_requests.js";
import { compare } from "../request_comparison.js";
import { standingOf } from "../request_states.js";
import { nowMs } from "../town_time.js";
import { problem } from "./parts.js";

/** @typedef {import("../app.js").Context} Context */
/** @typedef {import("../household.js").Household} Household */
/** @typedef {import("../decision_notes.js").Match} Match */
/** @typedef {import("../published_requests.js").Item} Item */
/** @typedef {import("../published_requests.js").Known} Known */

/** @param {Context} context */
export function requestsPage(context) {
  const { household, relay, left } = context;
  const packages = new PackageStates(context);
  const place = h("div", {}, skeleton(3));
  /** @type {Known | null} */
  let known = null;
  const redraw = () => {
    if (!left.aborted && known !== null) fill(place, content(known, household, packages));
  };
  const load = async () => {
    try {
      const found = await knownRequests(relay);
      if (found.asOfMs === 0) await household.heard();
      known = found;
      redraw();
    } catch (error) {
      if (!left.aborted) fill(place, problem(error));
    }
  };
  const again = async () => {
    try {
      const items = await fetchRequests(relay);
      await household.heard();
      known = { items, asOfMs: 0 };
      redraw();
    } catch (error) {
      console.warn("requests", error);
    }
  };
  household.addEventListener("change", redraw, { signal: left });
  household.addEventListener("request", again, { signal: left });
  household.addEventListener("contact", () => household.hasContact && again(), { signal: left });
  void load();
  return { title: t("requests.title"), body: [h("p", { class: "lead" }, t("requests.lead")), place] };
}

/** @param {Known} known @param {Household} household @param {PackageStates} packages */
function content({ items, asOfMs }, household, packages) {
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
    asOfMs > 0 && h("p", { class: "notice", id: "as-of", role: "status" }, t("requests.as_of", { time: timeText(asOfMs) })),
    (household.isUntold || household.unopenedNotes > 0) &&
      h("div", { class: "notice" }, h("p", {}, t("requests.unopened")), h("p", {}, h("a", { href: "#/browsers" }, t("browsers.link")))),
    household.doorbells.map((bell) => optedOut(household, bell)),
    h("h2", {}, t("requests.yours")),
    mine.length + hidden.length
      ? h("ul", { class: "rows", id: "my-requests" }, mine.map((item) => row(item, household, packages)), hidden.map(hiddenRow))
      : empty(t("requests.none")),
    others.length > 0 &&
      asOfMs === 0 && // whom they concern, the doorbell tells by way of the relay
      h(
        "details",
        {},
        h("summary", {}, t("requests.others")),
        h("p", { class: "muted" }, t("requests.others_help")),
        h("ul", { class: "rows" }, others.map((item) => row(item, household, packages))),
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

/** @param {Item} item @param {Household} household @param {PackageStates} packages */
function row(item, household, packages) {
  const { request, digest, agency, state } = item;
  const { same, different } = compare(household, request.id, { request, digest, agency });
  const over = state === "open" ? null : t(`requests.is.${state}`);
  const states = same.map((match) => stateTag(household, item, match, { packages, isOnly: same.length === 1 }));
  return h(
    "li",
    { class: "row", "data-testid": "request", "data-request": request.id },
    h(
      "a",
      { href: `#/requests/${request.id}` },
      h(
        "span",
        { class: "text" },
        request.danger && same.length > 0 && h("strong", { class: "emergency-mark" }, t("requests.emergency")),
        h("span", { class: "title" }, t("requests.ask", { agency: agency.name, span: spanText(request.from_ms, request.to_ms) })),
        same.some(({ is_example }) => is_example) && exampleTag(),
        different.length > 0 && h("span", { class: "warn-text" }, t("requests.different")),
        states,
        h("span", { class: "muted" }, [t(`incident.${request.incident_type}`), same.length === 0 && over].filter(Boolean).join(" · ")),
      ),
      icon("chevron"),
    ),
  );
}

/** How it stands at one door. @param {Household} household @param {Item} item @param {Match} match @param {{packages: PackageStates, isOnly: boolean}} how */
function stateTag(household, item, match, { packages, isOnly }) {
  const { state, untilMs = 0 } = standingOf(household, item, match, packages, nowMs());
  const door = isOnly ? "" : `${household.doorbell(match.device)?.name ?? match.device}: `;
  const style = state === "confirm" ? "clock" : "moment";
  return h("span", { class: "stands", "data-stands": state }, door + t(`requests.is.${state}`, { time: timeText(untilMs, style) }));
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
  return h("span", { class: "tag", "data-testid": "invented-town" }, t("requests.example"));
}
