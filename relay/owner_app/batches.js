/**
 * The end of the batch with which a release goes, as in firmware/protocol/batches.py.
 * @module
 */

const MAX_LEAD_MS = 30_000;

/** @param {number} confirmedMs @param {number} batchMs without batches nothing waits */
export function releaseEnd(confirmedMs, batchMs) {
  if (batchMs === 0) return confirmedMs;
  const ms = confirmedMs + leadMs(batchMs);
  return ms - (ms % batchMs) + batchMs;
}

/** The first moment whose confirmation goes with a later batch. @param {number} confirmedMs @param {number} batchMs */
export function nextBatchFrom(confirmedMs, batchMs) {
  return releaseEnd(confirmedMs, batchMs) - leadMs(batchMs);
}

/** @param {number} batchMs */
function leadMs(batchMs) {
  return Math.min(MAX_LEAD_MS, Math.floor(batchMs / 4));
}
