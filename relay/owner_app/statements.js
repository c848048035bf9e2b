/**
 * An owner's statement: signed by the passkey, sealed to the doorbell, sent through the relay.
 * @module
 */
import { pause } from "./pause.js";
import { nowMs } from "./town_time.js";
import { trustedKeys } from "./trust.js";
import { signDocument } from "./vendor/browser/passkey.js";
import { sha256Hex, utf8 } from "./vendor/protocol/encoding.js";
import { STATEMENT_TAG, sealStatement, statementText } from "./vendor/protocol/grants.js";

/** @typedef {import("./vendor/protocol/documents.js").Terms} Terms */
/** @typedef {import("./household.js").Household} Household */

/** How long a signature counts that gives something or lets somebody in. */
export const STATEMENT_LIFE_MS = 3600 * 1000;
/** What only narrows may find the doorbell later: nearly as long as a doorbell takes any statement. */
const NARROWING_LIFE_MS = 23 * 3600 * 1000;
/** @type {Terms["kind"][]} */
const NARROWING = ["hold", "unhold", "decline", "revoke", "end_session", "end_approver", "end_export"];

/**
 * Signs, seals and sends one statement; returns its digest.
 * @param {Household} household
 * @param {string} device
 * @param {Terms} terms
 * @returns {Promise<string>}
 */
export async function sendStatement(household, device, terms) {
  const { digest, sealed } = await signStatement(household, device, terms);
  await household.relay.post(`doorbells/${device}/statements`, { sealed });
  return digest;
}

/**
 * Signs and seals one statement, to be sent later.
 * @param {Household} household @param {string} device @param {Terms} terms
 * @returns {Promise<{digest: string, sealed: string}>}
 */
export async function signStatement(household, device, terms) {
  const { owner } = household;
  const { sealing_key } = trustedKeys(household, device);
  const document = statementText(device, terms, nowMs() + lifeOf(terms));
  const assertion = await signDocument({
    tag: STATEMENT_TAG,
    document,
    credentialId: owner.credential_id,
    rpId: owner.rp_id,
  });
  const sealed = await sealStatement({ statement: document, assertion }, sealing_key);
  return { digest: await sha256Hex(utf8(document)), sealed };
}

/** How long a statement counts once it is signed. @param {Terms} terms */
export function lifeOf(terms) {
  const isRefusal = terms.kind === "refuse_agency" && terms.is_refused;
  return isRefusal || NARROWING.includes(terms.kind) ? NARROWING_LIFE_MS : STATEMENT_LIFE_MS;
}

/**
 * Follows a pairing until it is in one of the states, or the signal aborts.
 * @param {import("./api.js").Relay} relay
 * @param {string} pairingId
 * @param {string[]} states
 * @param {AbortSignal} signal
 */
export async function pairingReaches(relay, pairingId, states, signal) {
  while (!signal.aborted) {
    const pairing = await relay.get(`pairings/${pairingId}`);
    if (states.includes(pairing.state)) return pairing;
    await pause(1000, signal);
  }
  return null;
}
