/**
 * How a request stands at one door, in one word: by what this browser signed, by the doorbell's own
 * notes, and, of a package on its way, by the relay's word. No page here.
 * @module
 */
import { decisionsOn } from "./account.js";
import { answerOf, holdsOf, settingsOf } from "./decision_notes.js";
import { standing } from "./views/progress.js";

/** @typedef {import("./decision_notes.js").Match} Match */
/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./package_states.js").PackageStates} PackageStates */
/** @typedef {import("./published_requests.js").Item} Item */
/**
 * @typedef {"open" | "held" | "declining" | "declined" | "hidden" | "signed" | "confirm" | "lapsed" | "refused" | "on_its_way" | "delivered" | "fetched" | "erased" | "not_taken" | "taking_back" | "taken_back" | "household_given" | "household_taken_back" | "household_declined" | "expired" | "renewed" | "withdrawn" | "suspended"} RequestState
 */
/** @typedef {{state: RequestState, untilMs?: number}} Standing `untilMs`: when that ends by itself */

/** So long a signed grant waits to be confirmed (CONFIRMATION_LIFE_MS of firmware/decisions). */
export const CONFIRM_MS = 10 * 60_000;

/** What the relay's word on a package means to an owner. @type {Record<string, RequestState>} */
const OF_PACKAGE = { delivered: "delivered", downloaded: "fetched", erasing: "erased", erased: "erased", not_taken: "not_taken" };

/**
 * @param {Household} household @param {Item} item @param {Match} match the doorbell's own word on it
 * @param {PackageStates} packages @param {number} nowMs
 * @returns {Standing}
 */
export function standingOf(household, item, { device, request_digest }, packages, nowMs) {
  const { grant, revoke, decline } = decisionsOn(device, request_digest);
  if (revoke !== undefined) return { state: standing(household, revoke.digest) === "done" ? "taken_back" : "taking_back" };
  const given = grant && givenState(household, grant.digest, packages, nowMs);
  if (given !== undefined && given.state !== "lapsed" && given.state !== "refused") return given;
  const others = answerOf(household, device, request_digest);
  if (others === "given" || others === "taken_back") return { state: `household_${others}` };
  if (item.state !== "open") return { state: item.state };
  if (item.request.expires_ms <= nowMs) return { state: "expired" };
  if (given !== undefined) return given;
  if (decline !== undefined) {
    const said = standing(household, decline.digest);
    return { state: said === "done" ? "declined" : said === "refused" ? "refused" : "declining" };
  }
  if (others === "declined") return { state: "household_declined" };
  if (settingsOf(household, device).refused.includes(item.agency.id)) return { state: "hidden" };
  const { from_ms, to_ms, expires_ms } = item.request;
  const hold = holdsOf(household, device, nowMs).find((one) => one.from_ms <= from_ms && one.to_ms >= to_ms);
  return hold === undefined ? { state: "open", untilMs: expires_ms } : { state: "held", untilMs: hold.until_ms };
}

/** The package of a grant that the doorbell told to be released. @param {Household} household @param {string} digest of the grant */
export function packageIdOf(household, digest) {
  const told = household.notesOn(digest).find(({ note }) => note.body.type === "released");
  return told?.note.body.type === "released" ? told.note.body.package_id : undefined;
}

/** @param {Household} household @param {string} digest @param {PackageStates} packages @param {number} nowMs @returns {Standing} */
function givenState(household, digest, packages, nowMs) {
  const said = standing(household, digest);
  if (said === "sent") return { state: "signed" };
  if (said === "refused") return { state: "refused" };
  if (said === "done") return { state: OF_PACKAGE[packages.of(packageIdOf(household, digest))] ?? "on_its_way" };
  const asked = household.notesOn(digest).at(-1);
  const untilMs = (asked?.time_ms ?? 0) + CONFIRM_MS;
  return untilMs > nowMs ? { state: "confirm", untilMs } : { state: "lapsed" };
}
