/**
 * A timer as a promise, for pages and for the service worker.
 * @module
 */

/**
 * Resolves after some time, or at once when aborted.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
export function pause(ms, signal) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const over = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      signal?.addEventListener("abort", over);
    })
  );
}
