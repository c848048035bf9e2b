/**
 * The icons, drawn in one line like the mark: one path each, in a square of 24 units.
 * @module
 */
import { svg } from "./dom.js";

const PATHS = /** @type {const} */ ({
  door: "M4 21h16M7 21V4l9-1v18M13 12h.01M16 5h2v16",
  history: "M3.5 12a8.5 8.5 0 1 0 2.6-6.1L3 9M3 4v5h5M12 8v4.5l3 2",
  requests: "M3 6h18v13H3zM3.5 6.5 12 13l8.5-6.5",
  neighbours: "M2 11.5 7.5 7l5.5 4.5M3.5 10.5V20h8v-9.5M14 7.5l2.5-2.5 5.5 5M20.5 9v11h-6M6.5 20v-4.5h2V20",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5",
  camera: "M3 7h11v10H3zM14 11l7-4v10l-7-4",
  notifications: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  people: "M8.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6M18 14.5a6.5 6.5 0 0 1 4 5.5",
  police: "M12 3 20 6v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6zM9 12l2 2 4-4",
  data: "M8 15a4 4 0 1 1 3.7-5.5H21v4h-3v-2h-2v2h-4.3A4 4 0 0 1 8 15zM8 11h.01",
  bell: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  motion: "M3 12h3l2-7 4 14 3-10 2 3h4",
  see: "M2 12s4-6.5 10-6.5S22 12 22 12s-4 6.5-10 6.5S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  microphone: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15zM5 11a7 7 0 0 0 14 0M12 18v3",
  chevron: "M9 5l7 7-7 7",
  close: "M5 5l14 14M19 5 5 19",
  more: "M5 12h.01M12 12h.01M19 12h.01",
});

/** @typedef {keyof typeof PATHS} IconName */

/** An icon beside words that say the same: nobody is read it. @param {IconName} name */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
