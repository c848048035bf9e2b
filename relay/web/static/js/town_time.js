/**
 * The time that the relay's pages go by: this machine's, or an invented town's, whose clock was wound
 * ahead. The page itself says how far, beside saying that its town is an example.
 * @module
 */

const meta = document.querySelector('meta[name="town-ahead-ms"]');
const aheadMs = Number(meta?.getAttribute("content") ?? 0);

/** @returns {number} milliseconds since 1970 */
export function nowMs() {
  return Date.now() + aheadMs;
}
