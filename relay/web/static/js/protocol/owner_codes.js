/**
 * Codes that an owner pastes from `doorward approve` and `doorward recovery`: public keys only.
 *
 * The text is a prefix and base64url of a canonical document. What it says is shown as six words,
 * which stand beside the code, too; the doorbell's own page shows them once more.
 * @module
 */
import { WireError, parseCanonical, text, unb64u } from "./encoding.js";
import { importP256 } from "./p256.js";
import { isLine } from "./plain_text.js";
import { checkX25519 } from "./sealing.js";

/** @typedef {import("./documents.js").PasskeyKey} PasskeyKey */
/** @typedef {import("./documents.js").RecoveryKeys} RecoveryKeys */

const APPROVER_PREFIX = "DWA1:";
const RECOVERY_PREFIX = "DWR1:";
const MAX_CODE_CHARS = 2048;

/**
 * Returns the key that is to confirm statements, and what it is called; throws WireError.
 * @param {string} pasted people paste line breaks and blanks with it
 * @returns {Promise<{name: string, key: PasskeyKey}>}
 */
export async function parseApproverCode(pasted) {
  const { name, key } = documentOf(pasted, APPROVER_PREFIX, ["key", "name"]);
  const { credential_id, public_key, rp_id, origin } = withFields(key, ["credential_id", "origin", "public_key", "rp_id"]);
  if (!isLine(name)) throw new WireError("a key's name is one line");
  unb64u(credential_id);
  await importP256(unb64u(public_key));
  return { name, key: { credential_id, public_key, rp_id, origin } };
}

/** Returns the public halves of a recovery key; throws WireError. @param {string} pasted @returns {Promise<RecoveryKeys>} */
export async function parseRecoveryCode(pasted) {
  const { sealing_key, signing_key } = documentOf(pasted, RECOVERY_PREFIX, ["sealing_key", "signing_key"]);
  checkX25519(unb64u(sealing_key));
  await importP256(unb64u(signing_key));
  return { sealing_key, signing_key };
}

/** @param {string} pasted @param {string} prefix @param {string[]} fields @returns {any} */
function documentOf(pasted, prefix, fields) {
  const joined = pasted.replaceAll(/\s/g, "");
  if (joined.length > MAX_CODE_CHARS || !joined.startsWith(prefix)) {
    throw new WireError(`the code begins with ${prefix}`);
  }
  return withFields(parseCanonical(textIn(joined.slice(prefix.length))), fields);
}

/** @param {string} encoded */
function textIn(encoded) {
  const data = unb64u(encoded);
  try {
    return text(data);
  } catch {
    throw new WireError("the code isn't whole");
  }
}

/** @param {any} document @param {string[]} fields in alphabetical order @returns {any} */
function withFields(document, fields) {
  const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
  if (!isObject || Object.keys(document).sort().join() !== fields.join()) {
    throw new WireError(`the code has other fields than ${fields.join(", ")}`);
  }
  const isText = (/** @type {string} */ field) => typeof document[field] === "string" || field === "key";
  if (!fields.every(isText)) throw new WireError("the code's fields aren't text");
  return document;
}
