/**
 * The app's side of pairing, at the camera or through the relay, and the six words of pasted keys, as
 * in firmware/protocol/pairing.py.
 *
 * An offer's reveal is returned only with the answer of a doorbell, and its nonce is never used again.
 * @module
 */
import words from "../../vendor/words.js";
import { WireError, b64u, canonical, deviceIdOf, join, newId, parseCanonical, sha256, sha256Hex, unb64u, unhex, utf8 } from "./encoding.js";
import { verifyP256 } from "./p256.js";
import { checkX25519 } from "./sealing.js";

/** @typedef {import("./documents.js").BrowserKeys} BrowserKeys */
/** @typedef {import("./documents.js").OwnerKeys} OwnerKeys */
/** @typedef {import("./documents.js").PairingAnswer} PairingAnswer */
/** @typedef {import("./documents.js").PairingReveal} PairingReveal */
/** @typedef {import("./documents.js").SignedPairingAnswer} SignedPairingAnswer */
/** @typedef {{owner: OwnerKeys} | {browser: BrowserKeys}} PairedKeys a first or further owner's, or a further browser's */
/** @typedef {{pairing_id: string, commitment: string, code: string, answered: Answered | null, isOver: boolean}} Offer what leaves the app of a pairing before its answer */
/** @typedef {{signed: SignedPairingAnswer, answer: PairingAnswer, device: string, reveal: string, words: string[]}} Answered */

const QR_PREFIX = "DW2:";
const COMMIT_TAG = utf8("doorward/pair-commit/v2\0");
const ANSWER_TAG = utf8("doorward/pair-answer/v2\0");
const WORDS_TAG = utf8("doorward/pair-words/v2\0");
const NONCE_BYTES = 32;
const WORD_COUNT = 4;
const WORDS_ROUNDS = 200_000;
const WORDS_SALT = "doorward/six-words/v1";

/** Two doorbells answered the same code, or one twice: the pairing is over. */
export class SecondAnswer extends WireError {}

/** What stays in this module until a doorbell has answered. @type {WeakMap<Offer, PairingReveal>} */
const hidden = new WeakMap();

/**
 * Returns a new offer: the commitment, and the code with it for the doorbell's camera. Its nonce is fresh.
 * @param {PairedKeys} keys
 * @param {{pairing_id: string, nonce: Uint8Array}} [chosen] by tests only
 * @returns {Promise<Offer>}
 */
export async function newOffer(keys, chosen) {
  const { pairing_id, nonce } = chosen ?? {
    pairing_id: newId(),
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)),
  };
  /** @type {PairingReveal} */
  const reveal = { v: 2, pairing_id, ...keys, nonce: b64u(nonce) };
  const commitment = await commitmentOf(canonical(reveal));
  const code = QR_PREFIX + b64u(join(utf8(pairing_id), unhex(commitment)));
  /** @type {Offer} */
  const offer = { pairing_id, commitment, code, answered: null, isOver: false };
  hidden.set(offer, reveal);
  return offer;
}

/** What commits to the text of a reveal. @param {string} reveal */
export function commitmentOf(reveal) {
  return sha256Hex(join(COMMIT_TAG, utf8(reveal)));
}

/**
 * Freezes the first answer to an offer's code, and returns it with the reveal and the four words.
 *
 * The same answer again is no other. Throws WireError, and SecondAnswer for another one, after which
 * nothing is taken any more.
 * @param {Offer} offer
 * @param {SignedPairingAnswer} signed
 * @returns {Promise<Answered>}
 */
export async function takeAnswer(offer, signed) {
  const { answer, device } = await checkAnswer(offer, signed);
  const known = offer.answered;
  if (known !== null && canonical(known.signed) !== canonical(signed)) offer.isOver = true;
  if (offer.isOver) throw new SecondAnswer("a second doorbell answered the same code, so the code is spent");
  if (known !== null) return known;
  const reveal = canonical(hidden.get(offer));
  const words = await pairingWords(offer.code, signed, reveal);
  offer.answered = { signed, answer, device, reveal, words };
  return offer.answered;
}

/** @param {Offer} offer @param {SignedPairingAnswer} signed */
async function checkAnswer(offer, { answer: text, signature }) {
  /** @type {PairingAnswer} */
  const answer = parseCanonical(text);
  const known = ["commitment", "identity_key", "is_recovery", "nonce", "pairing_id", "policy_digest", "register_origin", "sealing_key", "v"];
  if (answer === null || typeof answer !== "object" || Object.keys(answer).sort().join() !== known.join() || answer.v !== 2) {
    throw new WireError("the answer isn't one to a pairing code");
  }
  const identity = unb64u(answer.identity_key);
  if (!(await verifyP256(identity, unb64u(signature), join(ANSWER_TAG, utf8(text))))) {
    throw new WireError("the answer isn't signed by the key that it names");
  }
  if (answer.pairing_id !== offer.pairing_id || answer.commitment !== offer.commitment) {
    throw new WireError("the answer is to another code");
  }
  checkX25519(unb64u(answer.sealing_key));
  if (unb64u(answer.nonce).length !== NONCE_BYTES) throw new WireError("the answer's nonce isn't 32 bytes");
  return { answer, device: await deviceIdOf(identity) };
}

/**
 * Returns the four words over all three messages.
 * @param {string} code @param {SignedPairingAnswer} signed @param {string} reveal
 */
async function pairingWords(code, { answer, signature }, reveal) {
  const messages = { answer: canonical({ answer, signature }), code, reveal };
  const digest = await sha256(join(WORDS_TAG, utf8(canonical(messages))));
  return Array.from(digest.slice(0, WORD_COUNT), (byte) => words[byte]);
}

/**
 * Returns four words to choose from, in random order: the right one, and three that are in no place.
 * @param {string[]} right the four words @param {number} place
 */
export function wordsToChoose(right, place) {
  const others = words.filter((word) => !right.includes(word));
  const offered = [right[place]];
  while (offered.length < WORD_COUNT) {
    offered.splice(below(offered.length + 1), 0, ...others.splice(below(others.length), 1));
  }
  return offered;
}

/** A random number from 0 to below a limit. @param {number} limit at most 256 */
function below(limit) {
  const most = 256 - (256 % limit);
  for (;;) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < most) return byte % limit;
  }
}

/**
 * Six words over the keys of a browser that is to watch one doorbell: that browser and the
 * doorbell's page show the same, unless somebody swapped keys.
 * @param {string} device
 * @param {BrowserKeys} browser
 */
export function browserWords(device, browser) {
  return wordsOver({ browser: canonical(browser), device });
}

/** Six words over the public halves of a recovery key; they stand on its paper, too. @param {import("./documents.js").RecoveryKeys} keys */
export function recoveryKeyWords(keys) {
  return wordsOver({ recovery: canonical(keys) });
}

/** Six words over a key that is to confirm statements; its own program shows them too. @param {import("./documents.js").PasskeyKey} key */
export function approverWords(key) {
  return wordsOver({ approver: canonical(key) });
}

/** @param {Record<string, string>} bound @returns {Promise<string[]>} */
async function wordsOver(bound) {
  const secret = utf8(canonical(bound));
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const stretch = {
    name: "PBKDF2",
    hash: "SHA-256",
    salt: utf8(WORDS_SALT),
    iterations: WORDS_ROUNDS,
  };
  const raw = new Uint8Array(await crypto.subtle.deriveBits(stretch, key, 48));
  return Array.from(raw, (byte) => words[byte]);
}
