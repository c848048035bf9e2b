/**
 * The default name of this browser, such as "Chrome on Android".
 * @module
 */
import { t } from "./i18n.js";

/** In this order: most say that they are Chrome or Safari as well. @type {[RegExp, string][]} */
const BROWSERS = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\bOPR\/|\bOpera\b/, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bVivaldi\//, "Vivaldi"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/Chrom(e|ium)\/|\bCriOS\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/\bAndroid\b/, "Android"],
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bWindows\b/, "Windows"],
  [/\bCrOS\b/, "Chromebook"],
  [/\bMac OS X\b/, "Mac"],
  [/\bLinux\b/, "Linux"],
];

/** @param {string} [userAgent] @param {typeof t} [words] */
export function usualBrowserName(userAgent = navigator.userAgent, words = t) {
  const browser = firstMatch(BROWSERS, userAgent);
  const system = firstMatch(SYSTEMS, userAgent);
  if (browser && system) return words("browsers.usual_name", { browser, system });
  return browser || system || words("browsers.usual_name_none");
}

/** @param {[RegExp, string][]} names @param {string} userAgent */
function firstMatch(names, userAgent) {
  return names.find(([pattern]) => pattern.test(userAgent))?.[1] ?? "";
}
