/**
 * A movement's zones and place, sealed to this browser: as in firmware/protocol/zones.py.
 * @module
 */
import { text, unb64u, utf8 } from "./encoding.js";
import { openSealed } from "./sealing.js";

const ZONES_INFO = utf8("doorward/zones/v1");

/**
 * @param {string} sealed base64url
 * @param {import("./sealing.js").SealingPair} pair this browser's viewing key
 * @returns {Promise<{names: string[], box: number[] | null}>}
 */
export async function openZones(sealed, pair) {
  const { names, box } = JSON.parse(text(await openSealed(pair, unb64u(sealed), ZONES_INFO))) ?? {};
  return {
    names: Array.isArray(names) ? names.filter((name) => typeof name === "string") : [],
    box: isBox(box) ? box : null,
  };
}

/** Left, top, right, bottom in thousandths of the picture. @param {unknown} box @returns {box is number[]} */
function isBox(box) {
  const isPart = (/** @type {unknown} */ at) => typeof at === "number" && at >= 0 && at <= 1000;
  return Array.isArray(box) && box.length === 4 && box.every(isPart) && box[0] < box[2] && box[1] < box[3];
}
