/**
 * A partner's code that this browser keeps until the doorbell has been paired for 30 days, and then
 * hands in. Before that the relay isn't told of it; afterwards neither of them has it.
 * @module
 */
import { creditCode, rememberCreditCode } from "./account.js";
import { ApiError } from "./api.js";

/** @typedef {import("./account.js").Owner} Owner */
/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {"counted" | "waits"} HandedIn */

const DAY_MS = 24 * 60 * 60 * 1000;
/** What may be over later: all else that the relay refuses is refused for good. */
const FOR_NOW = ["credit_too_early", "credit_doorbell_missing"];

/**
 * Keeps a code, and hands it in. What is refused for good isn't kept: ApiError.
 * @param {Relay} relay @param {Owner} owner @param {string} text @returns {Promise<HandedIn>}
 */
export async function handIn(relay, owner, text) {
  const code = text.trim().toUpperCase();
  rememberCreditCode(owner, { code, tried_ms: Date.now() });
  try {
    await relay.post("credits/sign-up", { code });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the relay is away: the code is kept
    if (FOR_NOW.includes(error.code)) return "waits";
    if (error.code.startsWith("credit_") || error.status === 422) rememberCreditCode(owner, null);
    throw error;
  }
  rememberCreditCode(owner, null);
  return "counted";
}

/** Hands a kept code in, once a day at most. @param {Relay} relay @param {Owner} owner */
export async function handInKept(relay, owner) {
  const kept = creditCode(owner);
  if (kept === null || Math.abs(Date.now() - kept.tried_ms) < DAY_MS) return;
  await handIn(relay, owner, kept.code);
}
