/**
 * A check, as in relay/verify/checks.py: a kind, which is also a code, and its result.
 * @module
 */

import { Told } from "../../static/js/protocol/encoding.js";
import { filledApart } from "../../static/js/protocol/plain_text.js";

/** @typedef {"holds" | "fails" | "not checked" | "not shown"} Result */
/** @typedef {import("../../static/js/protocol/encoding.js").Said} Said */
/** @typedef {{kind: number, what: string, result: Result, detail: Said, where: string}} Check `what` is a text's key; `where` a file, or "" */

export const CODE = {
  HOLDS: 0,
  INCOMPLETE: 3,
  UNREADABLE: 10,
  PACKAGE: 11,
  DEVICE: 12,
  REQUEST: 13,
  GRANT: 14,
  PICTURES: 15,
  SOUND: 16,
  LOG: 17,
  POLICY: 18,
  CAPTURE: 19,
  PROVENANCE: 20,
};

/** What stands for words that aren't ours: they are never looked up, nor taken for a check's own. */
const AS_SAID = "{said}";

/** What a check needs isn't at hand. Nobody may read it as "holds". */
export class NotCheckable extends Told {
  /** @param {string} template @param {Said["values"]} [values] */
  constructor(template, values) {
    super(template, values);
    this.name = "NotCheckable";
  }
}

/** Something that this evidence doesn't show, as honest evidence may be unable to. It never ends in success. */
export class NotShown extends Told {
  /** @param {string} template @param {Said["values"]} [values] */
  constructor(template, values) {
    super(template, values);
    this.name = "NotShown";
  }
}

/**
 * Makes one check. Whatever breaks while it is made, fails.
 * @param {number} kind
 * @param {string} what
 * @param {() => Promise<Said | string | void>} look a name or number stands for itself
 * @param {string} [where]
 * @returns {Promise<Check>}
 */
export async function run(kind, what, look, where = "") {
  try {
    const found = (await look()) ?? "";
    const detail = typeof found === "string" ? { template: AS_SAID, values: { said: found } } : found;
    return { kind, what, where, result: "holds", detail };
  } catch (error) {
    return { kind, what, where, result: resultOf(error), detail: saidBy(error) };
  }
}

/** @param {unknown} error @returns {Result} */
function resultOf(error) {
  if (error instanceof NotShown) return "not shown";
  return error instanceof NotCheckable ? "not checked" : "fails";
}

/**
 * Returns what was said in the reader's language; names, numbers and others' words stay as they are.
 * @param {Said} said @param {Record<string, string>} texts the reader's, by the English text
 */
export function inWords({ template, values }, texts) {
  return filledApart(Object.hasOwn(texts, template) ? texts[template] : template, values);
}

/** @param {number} wall_ms */
export function moment(wall_ms) {
  return `${new Date(wall_ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** What an error says, also one that isn't ours: a document without what must be in it. @param {unknown} error @returns {Said} */
export function saidBy(error) {
  if (error instanceof Told) return error.said;
  const reason = error instanceof Error ? error.message : String(error);
  return { template: "it isn't written as it must be ({reason})", values: { reason } };
}

/**
 * What the checks say together. A changed file fails the list of files as well as its own check,
 * which says more: so PACKAGE is named only if nothing else fails. What isn't shown is no success.
 * @param {Check[]} checks
 */
export function codeOf(checks) {
  const failed = checks.filter((check) => check.result === "fails").map((check) => check.kind);
  if (failed.length > 0) {
    const telling = failed.filter((kind) => kind !== CODE.PACKAGE);
    return telling.length > 0 ? Math.min(...telling) : CODE.PACKAGE;
  }
  const holds = checks.length > 0 && checks.every((check) => check.result === "holds");
  return holds ? CODE.HOLDS : CODE.INCOMPLETE;
}
