/**
 * The error of a clip that can't be shown: apart from clips.js, so that pages can import it alone.
 * @module
 */

/** The clip can't be shown; the message is one of the catalog's clip.error.* names. */
export class ClipError extends Error {
  /** @param {"unreachable" | "gone" | "different"} reason @param {string} detail @param {unknown} [cause] */
  constructor(reason, detail, cause) {
    super(detail, { cause });
    this.reason = reason;
  }
}
