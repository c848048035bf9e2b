/**
 * The names of motion zones, sealed to this browser: as in firmware/protocol/zones.py.
 * @module
 */
import { text, unb64u, utf8 } from "./encoding.js";
import { openSealed } from "./sealing.js";

const ZONES_INFO = utf8("doorward/zones/v1");

/**
 * @param {string} sealed base64url
 * @param {import("./sealing.js").SealingPair} pair this browser's viewing key
 * @returns {Promise<string[]>}
 */
export async function openZones(sealed, pair) {
  const names = JSON.parse(text(await openSealed(pair, unb64u(sealed), ZONES_INFO)));
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}
