/**
 * Whether this browser can draw a map.
 * @module
 */

/** Whether there is WebGL 2, which MapLibre GL draws by. */
export function hasWebGl() {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}
