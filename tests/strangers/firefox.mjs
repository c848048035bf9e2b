/**
 * Opens an address in Debian's Firefox and tells what the page's `window.result` becomes.
 *
 *     node firefox.mjs ADDRESS [SCRIPT …]     each script's text is added to the page first
 *
 * Prints one line of JSON: {result, errors}. Firefox has no plugin: as Debian installs it.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.DOORWARD_NODE_MODULES}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")).href);
const [address, ...scripts] = process.argv.slice(2);
const PATIENCE_MS = 120_000;

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: process.env.DOORWARD_FIREFOX,
  headless: true,
  timeout: PATIENCE_MS,
  extraPrefsFirefox: { "media.autoplay.default": 0, "media.peerconnection.ice.loopback": true },
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(address, { timeout: PATIENCE_MS });
  for (const script of scripts) await page.evaluate(readFileSync(script, "utf8"));
  await page.waitForFunction(() => window.result !== undefined, { timeout: PATIENCE_MS });
  console.log(JSON.stringify({ result: await page.evaluate(() => window.result), errors }));
} finally {
  await browser.close();
}
