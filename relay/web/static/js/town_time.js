/**
 * The clock of the relay's pages: this machine's, or an example town's simulated one. The page
 * itself says how far, beside saying that its town is an example.
 * @module
 */

const meta = document.querySelector('meta[name="town-ahead-ms"]');
const aheadMs = Number(meta?.getAttribute("content") ?? 0);

/** @returns {number} milliseconds since 1970 */
export function nowMs() {
  return Date.now() + aheadMs;
}
