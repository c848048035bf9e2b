/**
 * Pairing of a newcomer with a doorbell that has an owner: the three messages, carried by the relay.
 *
 * The relay may be anybody. What it says only counts once the four words were found.
 * @module
 */
import { newOffer, takeAnswer } from "./vendor/protocol/pairing.js";

/** @typedef {import("./api.js").Relay} Relay */
/** @typedef {import("./vendor/protocol/pairing.js").Answered} Answered */
/** @typedef {import("./vendor/protocol/pairing.js").Offer} Offer */

/**
 * Commits, takes the doorbell's answer, and only then reveals.
 * @param {Relay} relay @param {import("./vendor/protocol/pairing.js").PairedKeys} keys
 * @param {(answered: Answered) => void} check throws if it isn't the doorbell that is meant
 * @param {string} [device] without: the relay's only one
 * @returns {Promise<{offer: Offer, answered: Answered}>}
 */
export async function pairThroughRelay(relay, keys, check, device) {
  const offer = await newOffer(keys);
  const path = `pairings/${offer.pairing_id}`;
  await relay.post("pairings", { pairing_id: offer.pairing_id });
  const told = await relay.post(`${path}/commitment`, { device: device ?? null, commitment: offer.commitment });
  await takeAll(offer, told);
  if (offer.answered === null) throw new Error("the relay has no answer of the doorbell");
  check(offer.answered);
  await relay.post(`${path}/reveal`, { reveal: offer.answered.reveal });
  return { offer, answered: offer.answered };
}

/** Looks whether somebody else answered as well: then it throws SecondAnswer. @param {Relay} relay @param {Offer} offer */
export async function lookAgain(relay, offer) {
  await takeAll(offer, await relay.get(`pairings/${offer.pairing_id}`));
}

/** A wrong word ends both sides. @param {Relay} relay @param {Offer} offer */
export async function stopPairing(relay, offer) {
  await relay.delete(`pairings/${offer.pairing_id}`).catch((error) => console.warn("the doorbell's side", error));
}

/** @param {Offer} offer @param {{answers: import("./vendor/protocol/documents.js").SignedPairingAnswer[]}} told */
async function takeAll(offer, { answers }) {
  for (const { answer, signature } of answers) await takeAnswer(offer, { answer, signature });
}
