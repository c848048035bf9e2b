/**
 * Throttling of expensive drawing: only the newest state, once an animation frame.
 * @module
 */

/**
 * @template T
 * @param {(value: T) => void} show
 * @param {{ask: (done: () => void) => number, forget: (frame: number) => void}} [screen]
 * @returns {{soon: (value: T) => void, now: (value: T) => void, drop: () => void}} `now` and `drop` leave out what waits
 */
export function inFrames(show, screen = { ask: (done) => requestAnimationFrame(done), forget: (frame) => cancelAnimationFrame(frame) }) {
  /** @type {number | null} */
  let frame = null;
  /** @type {T} */
  let newest;
  const drop = () => {
    if (frame !== null) screen.forget(frame);
    frame = null;
  };
  return {
    soon: (value) => {
      newest = value;
      frame ??= screen.ask(() => {
        frame = null;
        show(newest);
      });
    },
    now: (value) => {
      drop();
      show(value);
    },
    drop,
  };
}
