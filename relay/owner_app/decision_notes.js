/**
 * Requests and decisions from doorbells' sealed notes: only the doorbells' statements count, never
 * the relay's. No page here.
 * @module
 */

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./household.js").OpenedNote} OpenedNote */
/** @typedef {import("./vendor/protocol/documents.js").HeldTime} HeldTime */
/** @typedef {import("./vendor/protocol/documents.js").MatchedRequest} MatchedRequest */
/** @typedef {import("./vendor/protocol/documents.js").NoteBody} NoteBody */
/** @typedef {import("./vendor/protocol/documents.js").OwnerSettings} OwnerSettings */
/** @typedef {import("./vendor/protocol/documents.js").WifiTried} WifiTried */
/** @typedef {MatchedRequest & {device: string, told_ms: number}} Match a request as that doorbell itself read it */
/** @typedef {import("./vendor/protocol/documents.js").PreferencesNow} PreferencesNow */
/** @typedef {{settings: OwnerSettings | null, refused: string[], isTold: boolean, atMs: number}} Settings `isTold`: the doorbell has said anything of them to this browser; `atMs`: since when they count, 0 unknown */

/** A request stands for seven days, and its renewal as long again. */
const MATCH_LIFE_MS = 15 * 24 * 3600 * 1000;

/**
 * The requests that doorbells told of, each by a doorbell's first word on it; a reminder is said so.
 * @param {Iterable<OpenedNote>} notes
 * @returns {Match[]} oldest first
 */
export function matchesIn(notes) {
  /** @type {Map<string, Match>} */
  const found = new Map();
  for (const { note } of inOrder(notes)) {
    const { device, told_ms, body } = note;
    if (body.type !== "requests_matched") continue;
    for (const matched of body.requests) {
      const key = matchKey({ ...matched, device });
      const first = found.get(key) ?? { ...matched, device, told_ms };
      found.set(key, { ...first, is_reminder: first.is_reminder || matched.is_reminder });
    }
  }
  return [...found.values()];
}

/** @param {{device: string, request_digest: string}} match */
export function matchKey({ device, request_digest }) {
  return `${device} ${request_digest}`;
}

/** Tells whether a request that was told of may still stand. @param {Match} match @param {number} nowMs */
export function mayStand({ told_ms }, nowMs) {
  return nowMs - told_ms < MATCH_LIFE_MS;
}

/**
 * Returns the settings that count at a doorbell, as far as this browser has been told.
 * @param {Household} household @param {string} device
 * @returns {Settings}
 */
export function settingsOf(household, device) {
  /** @type {Settings} */
  const now = { settings: null, refused: [], isTold: false, atMs: 0 };
  for (const body of bodiesOf(household, device)) {
    if (body.type === "refused_now") Object.assign(now, { refused: body.refused, isTold: true });
    if (body.type !== "settings_now") continue;
    // By number: two may be told in one moment, and a clock may be set back.
    const isNewer = (body.settings?.revision ?? 0) >= (now.settings?.revision ?? 0);
    now.isTold = true;
    if (isNewer) Object.assign(now, { settings: body.settings, atMs: body.at_ms });
  }
  return now;
}

/**
 * Returns what needs no passkey as it counts at a doorbell, and what its own file says, by its newest word.
 * @param {Household} household @param {string} device
 * @returns {PreferencesNow | null} null: it has said nothing of it to this browser
 */
export function preferencesOf(household, device) {
  /** @type {PreferencesNow | null} */
  let now = null;
  for (const body of bodiesOf(household, device)) if (body.type === "preferences_now") now = body;
  return now;
}

/**
 * Returns the notice for passers-by as the doorbell told of it last: its id, and since when it is put up.
 * @param {Household} household @param {string} device
 * @returns {{noticeId: string, sinceMs: number} | null} null: there is none, as far as this browser was told
 */
export function doorNoticeOf(household, device) {
  /** @type {{noticeId: string, sinceMs: number} | null} */
  let now = null;
  for (const body of bodiesOf(household, device)) {
    if (body.type === "door_notice_now") now = body.notice_id === null ? null : { noticeId: body.notice_id, sinceMs: body.since_ms };
  }
  return now;
}

/**
 * Returns the times that a doorbell holds, those that are over left out, the earliest end first.
 * @param {Household} household @param {string} device @param {number} nowMs
 * @returns {HeldTime[]}
 */
export function holdsOf(household, device, nowMs) {
  /** @type {HeldTime[]} */
  let now = [];
  for (const body of bodiesOf(household, device)) {
    if (body.type === "holds_now") now = body.holds;
  }
  return now.filter(({ until_ms }) => until_ms > nowMs).toSorted((a, b) => a.until_ms - b.until_ms);
}

/** @typedef {"declined" | "given" | "taken_back"} HouseholdAnswer */

/**
 * Returns what the household answered to a request, whichever owner signed it: the doorbell tells
 * all of them. A no counts as long as nothing was given.
 * @param {Household} household @param {string} device @param {string} requestDigest
 * @returns {HouseholdAnswer | null}
 */
export function answerOf(household, device, requestDigest) {
  const bodies = bodiesOf(household, device);
  const back = new Set(bodies.map((body) => body.type === "statement_done" && body.kind === "revoke" && body.about));
  const given = bodies.filter((body) => body.type === "released" && body.request_digest === requestDigest);
  if (given.length > 0) return given.every((body) => "statement_digest" in body && back.has(body.statement_digest)) ? "taken_back" : "given";
  const isNo = bodies.some((body) => body.type === "statement_done" && body.kind === "decline" && body.about === requestDigest);
  return isNo ? "declined" : null;
}

/**
 * Returns what owners must be told of themselves: who is gone, and by whom; that the recovery code was used;
 * that the door number is locked.
 * @param {Household} household @param {string} device
 */
export function warningsOf(household, device) {
  const all = inOrder(household.notes.values())
    .filter(({ note }) => note.device === device && ["owner_removed", "recovery_used", "door_locked", "export_now"].includes(note.body.type))
    .reverse();
  const locks = all.filter(({ note }) => note.body.type === "door_locked");
  return all.filter((one) => one.note.body.type !== "door_locked" || one === locks[0]);
}

/**
 * Returns how joining another Wi-Fi network ended last, by the doorbell's own word.
 * @param {Household} household @param {string} device
 * @returns {WifiTried | null}
 */
export function lastWifiOf(household, device) {
  /** @type {WifiTried | null} */
  let last = null;
  for (const body of bodiesOf(household, device)) {
    if (body.type === "wifi_tried") last = body;
  }
  return last;
}

/** @param {Household} household @param {string} device @returns {NoteBody[]} oldest first */
function bodiesOf({ notes }, device) {
  return inOrder(notes.values())
    .filter(({ note }) => note.device === device)
    .map(({ note }) => note.body);
}

/** @param {Iterable<OpenedNote>} notes */
function inOrder(notes) {
  return [...notes].sort((a, b) => a.time_ms - b.time_ms);
}
