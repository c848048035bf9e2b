/**
 * Display of others' text beside ours: one line or several, as in firmware/protocol/encoding.py,
 * isolated so that it can't change the text around it.
 * @module
 */

/** What turns the direction of the text around it, or breaks a line, unseen. */
const MISLEADING = "\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069";
/** What leaves no mark on a page; text of nothing else says nothing. */
const BLANK =
  "\\x00-\\x20\\x7f-\\xa0\\xad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f" +
  "\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0";
const SAYS = new RegExp(`[^${BLANK}]`, "u");
const LINE = new RegExp(`^[^\\x00-\\x1f\\x7f-\\x9f${MISLEADING}]{1,200}$`, "u");
const ANY_MISLEADING = new RegExp(`[${MISLEADING}]`, "gu");
/** Letters that are written from right to left, and so move figures and signs that stand beside them. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const [FIRST_STRONG_ISOLATE, END_OF_ISOLATE] = ["\u2068", "\u2069"];

/** Tells whether this is one line of text. @param {string} text */
export function isLine(text) {
  return typeof text === "string" && LINE.test(text) && !isBlank(text);
}

/** Tells whether this is text, of any length, that can't pass for other text. @param {string} text */
export function isPlain(text) {
  return withoutMisleading(text) === text;
}

/** Tells whether a text says nothing: it is empty, or leaves no mark on a page. @param {string} text */
export function isBlank(text) {
  return !SAYS.test(text);
}

/** Tells whether this is such a text of at most so many characters, empty or not blank. @param {string} text @param {number} most */
export function isText(text, most) {
  return typeof text === "string" && isPlain(text) && [...text].length <= most && (text === "" || !isBlank(text));
}

/** Returns a text that somebody typed or pasted as documents hold it. @param {string} text */
export function withoutMisleading(text) {
  return text.replaceAll(ANY_MISLEADING, "");
}

/**
 * Returns a text to be put among other words, which it can't turn: "14–15" stays that way beside it.
 * @param {string} text
 */
export function apart(text) {
  const plain = withoutMisleading(text);
  return RIGHT_TO_LEFT.test(plain) ? FIRST_STRONG_ISOLATE + plain + END_OF_ISOLATE : plain;
}

/**
 * Returns a text in which `{name}` is replaced, each value apart from the words around it.
 * @param {string} template @param {Record<string, string | number>} values
 */
export function filledApart(template, values) {
  return template.replace(/\{(\w+)\}/g, (all, name) => (Object.hasOwn(values, name) ? apart(String(values[name])) : all));
}
