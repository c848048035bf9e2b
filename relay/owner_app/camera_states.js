/**
 * Which states of a doorbell's camera give no picture.
 * @module
 */

/** @typedef {import("./vendor/protocol/documents.js").CameraState} CameraState */

const WELL = new Set(["working", "starting"]);

/** Tells whether a camera in this state gives no picture, and won't by itself. @param {CameraState} state */
export function isBlind(state) {
  return !WELL.has(state);
}
