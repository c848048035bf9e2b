/**
 * The rate limits of an agency, an officer or a case (R4, R13, R15), counted during a replay, as
 * firmware/protocol/register/counts.py has them. Times are the requests' own.
 * @module
 */
import { must } from "./document_reader.js";

/** @typedef {{id: string, agency: string, officer_id: string, case_number: string, incident_type: string, cells: string[], from_ms: number, to_ms: number, created_ms: number, expires_ms: number, danger: string, renews?: string}} KeptRequest */
/** @typedef {{request: KeptRequest, isWithdrawn: boolean, renewedBy: string | null}} RequestRecord */
/** @typedef {(record: RequestRecord) => number} Key */

/** @type {Key} */
const expires = ({ request }) => request.expires_ms;
/** @type {Key} */
const created = ({ request }) => request.created_ms;

/** The published requests: by officer and as emergencies in the order of their expiry, by cell in that of their making. */
export class Counts {
  constructor() {
    /** @type {Map<string, number>} */
    this.byCase = new Map();
    /** @type {Map<string, RequestRecord[]>} */
    this.byOfficer = new Map();
    /** @type {Map<string, RequestRecord[]>} */
    this.byCell = new Map();
    /** @type {Map<string, RequestRecord[]>} */
    this.emergencies = new Map();
  }

  /** What of a request later ones are judged by: a register may hold more of them than memory. @param {any} request @returns {KeptRequest} */
  kept({ id, agency, officer_id, case_number, incident_type, cells, from_ms, to_ms, created_ms, expires_ms, danger, renews }) {
    return { id, agency, officer_id, case_number, incident_type, cells, from_ms, to_ms, created_ms, expires_ms, danger, renews };
  }

  /** Throws WireError if it is one too many. @param {KeptRequest} request @param {any} limits @param {RequestRecord | null} renewed what it renews */
  check(request, limits, renewed) {
    const { agency, officer_id, case_number, created_ms, danger } = request;
    const isFirst = (this.byCase.get(`${agency} ${case_number}`) ?? 0) < limits.max_per_case;
    must(renewed !== null || isFirst, "a case has more requests than it may");
    const open = standing(this.byOfficer.get(`${agency} ${officer_id}`), created_ms).filter((record) => record !== renewed);
    must(open.length < limits.max_open_per_officer, "an officer has more open requests than they may");
    if (renewed !== null) return;
    for (const cell of request.cells) {
      const isQuiet = !isAnyNear(this.byCell.get(`${agency} ${cell}`) ?? [], created_ms, limits.area_quiet_ms);
      must(isQuiet, "the same place was asked about more often than it may");
    }
    const isAlone = danger === "" || standing(this.emergencies.get(agency), created_ms).length === 0;
    must(isAlone, "an agency has more open emergencies than it may");
  }

  /** Counts a request that is published. @param {RequestRecord} record */
  add(record) {
    const { agency, officer_id, case_number, cells, danger, renews } = record.request;
    const name = `${agency} ${case_number}`;
    if (renews === undefined) this.byCase.set(name, (this.byCase.get(name) ?? 0) + 1);
    insert(this.byOfficer, `${agency} ${officer_id}`, record, expires);
    for (const cell of cells) insert(this.byCell, `${agency} ${cell}`, record, created);
    if (danger !== "") insert(this.emergencies, agency, record, expires);
  }
}

/** Which of these, in the order of their expiry, still stand: one that was renewed isn't counted besides its renewal. @param {RequestRecord[] | undefined} records @param {number} now_ms */
function standing(records = [], now_ms) {
  const unexpired = records.slice(placeAfter(records, now_ms, expires));
  return unexpired.filter(({ isWithdrawn, renewedBy }) => !isWithdrawn && renewedBy === null);
}

/** @param {RequestRecord[]} records in the order of their making @param {number} now_ms @param {number} quiet_ms */
function isAnyNear(records, now_ms, quiet_ms) {
  const next = records[placeAfter(records, now_ms - quiet_ms, created)];
  return next !== undefined && created(next) < now_ms + quiet_ms;
}

/** @param {Map<string, RequestRecord[]>} lists @param {string} name @param {RequestRecord} record @param {Key} key */
function insert(lists, name, record, key) {
  const list = lists.get(name) ?? [];
  list.splice(placeAfter(list, key(record), key), 0, record);
  lists.set(name, list);
}

/** The place after all records whose key is this or less. @param {RequestRecord[]} records @param {number} value @param {Key} key */
function placeAfter(records, value, key) {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(records[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
