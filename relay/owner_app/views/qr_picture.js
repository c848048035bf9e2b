/**
 * QR codes for a doorbell's camera, drawn in this browser.
 * @module
 */
import { h, svg } from "../dom.js";
import qrcode from "../vendor/qrcode.mjs";

const QUIET_MODULES = 4;

/**
 * A code as wide as the page, with its text for programs that read the page.
 * @param {string} text @param {{id: string, label: string}} what
 */
export function qrFigure(text, { id, label }) {
  return h("figure", { class: "qr", id, "data-text": text }, qrPicture(text, label));
}

/** @param {string} text @param {string} label */
function qrPicture(text, label) {
  const code = qrcode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  let dark = "";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      if (code.isDark(row, column)) dark += `M${column} ${row}h1v1h-1z`;
    }
  }
  const size = count + 2 * QUIET_MODULES;
  const viewBox = `${-QUIET_MODULES} ${-QUIET_MODULES} ${size} ${size}`;
  return svg(
    "svg",
    { viewBox, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("path", { d: `M${-QUIET_MODULES} ${-QUIET_MODULES}h${size}v${size}h-${size}z`, fill: "#fff" }),
    svg("path", { d: dark, fill: "#000" }),
  );
}
