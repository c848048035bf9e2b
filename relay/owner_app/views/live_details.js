/**
 * Details of picture and connection quality; measured only while they are open.
 * @module
 */
import { fill, h } from "../dom.js";
import { hasText, t } from "../i18n.js";
import { ConnectionStats } from "../live_stats.js";

/** @typedef {import("../live_control.js").DoorState} DoorState */
/** @typedef {import("../live_control.js").LiveControl} LiveControl */

const READ_MS = 1000;

export class ConnectionDetails {
  constructor() {
    /** @type {LiveControl | null} */
    this.control = null;
    /** @type {ConnectionStats | null} */
    this.meter = null;
    this.timer = 0;
    this.firstMs = 0;
    this.stream = h("p", { id: "live-stream", role: "status" });
    this.table = h("dl", { class: "facts", id: "live-facts" });
    this.small = h("input", { type: "checkbox", id: "live-small" });
    this.small.addEventListener("change", () => this.control?.wantQuality(this.small.checked ? "small" : "auto"));
    const summary = h("summary", { id: "live-details" }, t("live.details"));
    const small = h("label", { for: "live-small" }, this.small, " ", t("live.small"));
    this.fold = h("details", {}, summary, this.table, small, h("p", { class: "muted" }, t("live.how")));
    this.fold.addEventListener("toggle", () => this.#read());
    this.node = this.fold;
  }

  /** @param {import("../live.js").LiveSession} session @param {LiveControl} control */
  attach(session, control) {
    this.detach();
    this.control = control;
    this.meter = new ConnectionStats(session.peer);
    if (this.small.checked) control.wantQuality("small");
    this.#read();
  }

  detach() {
    this.control = this.meter = null;
    clearTimeout(this.timer);
    fill(this.stream);
  }

  /** @param {number} ms from the press to the first picture */
  firstFrame(ms) {
    this.firstMs = ms;
  }

  /** @param {DoorState} state */
  show({ stream, why }) {
    const known = `live.why.${why}`;
    const reason = why !== null && hasText(known) ? t(known) : "";
    const isLess = stream === "small" || stream === "key_frames";
    fill(this.stream, isLess && [t(`live.stream.${stream}`), " ", reason]);
  }

  /** Takes an error that is about the stream. @param {string} reason */
  failed(reason) {
    if (reason !== "no_small") return false;
    this.small.checked = false;
    fill(this.stream, t("live.no_small"));
    return true;
  }

  async #read() {
    clearTimeout(this.timer);
    const { meter } = this;
    if (meter === null || !this.fold.open) return;
    const facts = await meter.read();
    if (this.meter !== meter) return;
    fill(this.table, rows(facts, this.firstMs));
    this.timer = setTimeout(() => this.#read(), READ_MS);
  }
}

/** @param {import("../live_stats.js").LineFacts} facts @param {number} firstMs */
function rows(facts, firstMs) {
  const { rttMs, delayMs, kbps, fps, lostPercent, width, height, way } = facts;
  const late = rttMs !== null && delayMs !== null ? Math.round(rttMs / 2) + delayMs : null;
  /** @type {[string, string | false | null][]} */
  const told = [
    ["late", late !== null && t("live.fact.ms", { ms: late })],
    ["rtt", rttMs !== null && t("live.fact.ms", { ms: rttMs })],
    ["picture", width !== null && height !== null && `${width} × ${height}`],
    ["fps", fps !== null && String(fps)],
    ["rate", kbps !== null && t("live.fact.kbps", { kbps })],
    ["lost", lostPercent !== null && t("live.fact.percent", { percent: lostPercent })],
    ["way", way && t(`live.way.${way}`)],
    ["first", firstMs > 0 && t("live.fact.ms", { ms: firstMs })],
  ];
  const known = told.filter(([, value]) => value);
  return known.flatMap(([name, value]) => [
    h("dt", {}, t(`live.fact.${name}`)),
    h("dd", { "data-fact": name }, value),
  ]);
}
