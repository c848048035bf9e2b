/**
 * Errors of live sessions: apart from live.js, so that pages can import them alone.
 * @module
 */

/** This browser can't show what a doorbell sends. */
export class NoSession extends Error {}

/** Somebody between this browser and the doorbell changed something. Nothing was shown. */
export class Tampered extends Error {}

/** The doorbell's and this browser's clocks differ too much to tell whether the answer is fresh. */
export class ClocksDiffer extends Error {}
