/**
 * The facts of a checked clip, in words.
 * @module
 */
import { h } from "../dom.js";
import { momentText, t, tn } from "../i18n.js";
import { NO_MASK_DIGEST, shownSize } from "../vendor/protocol/footage.js";

/**
 * What is known of a checked clip, in words.
 * @param {import("../vendor/protocol/documents.js").ClipManifest} manifest
 */
export function clipFacts(manifest) {
  const { gops, lost_units, gaps, mask_digest, is_clock_trusted } = manifest;
  const [width, height] = shownSize(manifest);
  const pictures = gops.reduce((sum, gop) => sum + gop.unit_count, 0);
  return [
    h(
      "p",
      { class: "ok muted", "data-testid": "verify-ok" },
      t("clip.verified", { pictures, width, height }),
    ),
    lost_units > 0 && h("p", { class: "warn-text" }, tn("clip.lost", lost_units)),
    gaps !== undefined && h("p", { class: "warn-text" }, t("clip.gaps", { count: gaps.count, longest: momentText(gaps.longest_90k / 90) })),
    !is_clock_trusted && h("p", { class: "muted" }, t("clip.clock")),
    mask_digest !== NO_MASK_DIGEST && h("p", { class: "muted" }, t("clip.masked")),
  ];
}
