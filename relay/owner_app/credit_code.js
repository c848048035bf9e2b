/**
 * A partner's code that this browser keeps until the doorbell has been paired for 30 days, and then
 * hands in. Before that the relay isn't told of it; afterwards neither of them has it.
 * @module
 */
import { readJson, remembered } from "./account.js";
import { ApiError } from "./api.js";

/** @typedef {import("./account.js").Owner} Owner */
/** @typedef {{code: string, tried_ms: number, from_ms: number | null, refused?: string}} CreditCode when it was tried last, from when on it counts, and why the relay refused it */
/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {{state: "missing" | "waiting" | "ready" | "used", from_ms: number | null, codes: string[]}} Standing */
/** @typedef {"counted" | "waits"} HandedIn */

const DAY_MS = 24 * 60 * 60 * 1000;

/** A code is refused for good; `code` says why, as the relay does. */
export class CodeRefused extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Keeps a code, and hands it in once it counts. What is refused for good isn't kept: CodeRefused.
 * The relay names all codes, and this one is looked up here.
 * @param {Relay} relay @param {Owner} owner @param {string} text @returns {Promise<HandedIn>}
 */
export async function handIn(relay, owner, text) {
  const code = text.trim().toUpperCase();
  const tried_ms = Date.now();
  /** @type {Standing} */
  const { state, from_ms, codes } = await relay.get("credits/sign-up");
  if (!codes.includes(code)) return refuse(owner, "credit_code_unknown");
  rememberCreditCode(owner, { code, tried_ms, from_ms });
  if (state === "waiting" || state === "missing") return "waits";
  try {
    await relay.post("credits/sign-up", { code });
  } catch (error) {
    if (error instanceof ApiError && error.code.startsWith("credit_")) return refuse(owner, error.code);
    throw error; // the relay is away: the code is kept
  }
  rememberCreditCode(owner, null);
  return "counted";
}

/** Hands a kept code in, once a day at most; a refusal is kept for the page. @param {Relay} relay @param {Owner} owner */
export async function handInKept(relay, owner) {
  const kept = creditCode(owner);
  if (kept === null || kept.refused || Math.abs(Date.now() - kept.tried_ms) < DAY_MS) return;
  try {
    await handIn(relay, owner, kept.code);
  } catch (error) {
    if (!(error instanceof CodeRefused)) throw error;
    rememberCreditCode(owner, { ...kept, refused: error.code });
  }
}

/** @param {Owner} owner @param {string} why @returns {never} */
function refuse(owner, why) {
  rememberCreditCode(owner, null);
  throw new CodeRefused(why);
}

/** A partner's code that waits to be handed in. @param {Owner} owner @returns {CreditCode | null} */
export function creditCode(owner) {
  return readJson(remembered("credit-code", owner.credential_id));
}

/** @param {Owner} owner @param {CreditCode | null} kept null: it is forgotten */
export function rememberCreditCode(owner, kept) {
  const key = remembered("credit-code", owner.credential_id);
  if (kept === null) localStorage.removeItem(key);
  else localStorage.setItem(key, JSON.stringify(kept));
}
