/**
 * Outcomes of requests, as in firmware/protocol/outcomes.py.
 * @module
 */
import { canonical } from "./encoding.js";

export const OUTCOME_TAG = "doorward/outcome/v1";

/**
 * Returns the canonical text of an outcome.
 * @param {{request_digest: string, agency: string, officer_id: string, outcome: "used" | "not_used", is_resolved: boolean}} what
 */
export function outcomeText(what) {
  return canonical({ v: 1, domain: OUTCOME_TAG, ...what });
}
