/**
 * Rendering of a request from the very text that is to be signed, in place of the relay's
 * rendering. What stands in the text and couldn't be shown, or the other way round, is refused.
 * @module
 */
import { Refused, pageData, showLocalTimes, t } from "./page.js";

/** @typedef {import("./protocol/documents.js").EvidenceRequest} EvidenceRequest */

/** No line of their own: `from_ms` has `to_ms`, and the page compares `agency` with the officer's. */
const UNDRAWN = ["v", "domain", "id", "agency", "officer_id", "cosigner_id", "to_ms", "created_ms"];
/** Fields whose line is there only where they say something. */
const OPTIONAL = ["danger", "reason", "renews"];

/**
 * @param {HTMLElement} list the page's <dl class="terms">
 * @param {EvidenceRequest} request
 */
export function drawTerms(list, request) {
  const lines = new Map(
    [...list.querySelectorAll("dd")].map((line) => [line.dataset.term ?? "", line]),
  );
  const said = Object.entries(request).filter(
    ([name, value]) => !UNDRAWN.includes(name) && !(OPTIONAL.includes(name) && value === ""),
  );
  if (said.length !== lines.size) throw new Refused(t("changed"));
  for (const [name, value] of said) {
    const line = lines.get(name);
    if (line === undefined) throw new Refused(t("changed"));
    drawLine(line, value, request);
  }
  showLocalTimes();
}

/** @param {HTMLElement} line @param {unknown} value @param {EvidenceRequest} request */
function drawLine(line, value, request) {
  switch (line.dataset.term) {
    case "from_ms":
      line.dataset.fromMs = String(request.from_ms);
      line.dataset.toMs = String(request.to_ms);
      break;
    case "expires_ms": {
      const time = document.createElement("time");
      time.dataset.ms = String(value);
      line.replaceChildren(time);
      break;
    }
    case "cells":
      drawCells(line, request.cells);
      break;
    case "retention_days":
      line.textContent = words().retention_days.replace("{days}", String(value));
      break;
    case "incident_type":
    case "onward_sharing":
      line.textContent = wordOf(words()[line.dataset.term], String(value));
      break;
    default:
      line.textContent = String(value);
  }
}

/**
 * The relay's picture stays if it is of these very cells, whose numbers stand behind it.
 * @param {HTMLElement} line @param {string[]} cells
 */
function drawCells(line, cells) {
  const numbers = line.querySelector(".cell-ids");
  const isDrawn = numbers !== null && numbers.textContent?.trim().split(/\s+/).join(" ") === cells.join(" ");
  (isDrawn ? numbers : line).replaceChildren(...cells.flatMap((cell) => [code(cell), " "]));
}

/** @returns {{incident_type: Record<string, string>, onward_sharing: Record<string, string>, retention_days: string}} */
function words() {
  return pageData("term-words");
}

/** @param {Record<string, string>} choices @param {string} value */
function wordOf(choices, value) {
  if (!Object.hasOwn(choices, value)) throw new Refused(t("changed"));
  return choices[value];
}

/** @param {string} text */
function code(text) {
  const element = document.createElement("code");
  element.textContent = text;
  return element;
}
