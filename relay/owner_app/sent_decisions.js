/**
 * What this browser sent about requests; `decisionsOn` tells it.
 * @module
 */
import { decisionsOn, remembered } from "./account.js";

/** @typedef {import("./account.js").DecisionKind} DecisionKind */
/** @typedef {import("./account.js").Sent} Sent */

/**
 * @param {string} device @param {string} requestDigest
 * @param {DecisionKind} kind @param {Sent | null} sent null: it is forgotten
 */
export function rememberDecision(device, requestDigest, kind, sent) {
  const { [kind]: _, ...others } = decisionsOn(device, requestDigest);
  const now = sent === null ? others : { ...others, [kind]: sent };
  localStorage.setItem(remembered("decisions", `${device}.${requestDigest}`), JSON.stringify(now));
}
