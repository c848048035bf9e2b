/**
 * The connection quality of a live session, computed from WebRTC's statistics (W3C webrtc-stats).
 * @module
 */

/**
 * What is told of a line; null where the browser doesn't say.
 * @typedef {object} LineFacts
 * @property {number | null} rttMs there and back
 * @property {number | null} delayMs what a picture waits in this browser before it is shown
 * @property {number | null} kbps
 * @property {number | null} fps
 * @property {number | null} lostPercent of packets, since the reading before
 * @property {number | null} width
 * @property {number | null} height
 * @property {"direct" | "relayed" | null} way
 */
/** @typedef {{atMs: number, bytes: number, packets: number, lost: number, delayS: number, emitted: number}} Reading */

export class ConnectionStats {
  /** @param {Pick<RTCPeerConnection, "getStats">} peer @param {() => number} [nowMs] monotonic */
  constructor(peer, nowMs = () => performance.now()) {
    this.peer = peer;
    this.nowMs = nowMs;
    /** @type {Reading | null} */
    this.before = null;
  }

  /** @returns {Promise<LineFacts>} since the reading before */
  async read() {
    const stats = [.../** @type {Iterable<[string, any]>} */ (await this.peer.getStats())].map(([, one]) => one);
    const video = stats.find((one) => one.type === "inbound-rtp" && one.kind === "video");
    const now = readingOf(video, this.nowMs());
    const before = this.before;
    this.before = now;
    return { ...pathFacts(stats), ...pictureFacts(video), ...rateFacts(before, now) };
  }
}

/** @param {any} video @param {number} atMs @returns {Reading} */
function readingOf(video, atMs) {
  return {
    atMs,
    bytes: video?.bytesReceived ?? 0,
    packets: video?.packetsReceived ?? 0,
    lost: video?.packetsLost ?? 0,
    delayS: (video?.jitterBufferDelay ?? 0) + (video?.totalDecodeTime ?? 0),
    emitted: video?.jitterBufferEmittedCount ?? 0,
  };
}

/** @param {any[]} stats */
function pathFacts(stats) {
  const transport = stats.find((one) => one.type === "transport");
  const chosen = transport?.selectedCandidatePairId;
  const pair = stats.find(
    (one) => one.type === "candidate-pair" && (chosen ? one.id === chosen : one.selected || one.nominated),
  );
  const ends = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => stats.find((one) => one.id === id));
  const way = ends.some((end) => end?.candidateType === "relay") ? "relayed" : "direct";
  const rttS = pair?.currentRoundTripTime;
  return {
    rttMs: rttS === undefined ? null : Math.round(rttS * 1000),
    way: pair === undefined ? null : /** @type {"relayed" | "direct"} */ (way),
  };
}

/** @param {any} video */
function pictureFacts(video) {
  const fps = video?.framesPerSecond;
  return {
    fps: fps === undefined ? null : Math.round(fps),
    width: video?.frameWidth ?? null,
    height: video?.frameHeight ?? null,
  };
}

/** @param {Reading | null} before @param {Reading} now */
function rateFacts(before, now) {
  const tookMs = before === null ? 0 : now.atMs - before.atMs;
  if (before === null || tookMs <= 0) return { kbps: null, lostPercent: null, delayMs: null };
  const [came, lost] = [now.packets - before.packets, Math.max(0, now.lost - before.lost)];
  const shown = now.emitted - before.emitted;
  return {
    kbps: Math.round(((now.bytes - before.bytes) * 8) / tookMs),
    lostPercent: came + lost > 0 ? Math.round((1000 * lost) / (came + lost)) / 10 : null,
    delayMs: shown > 0 ? Math.round((1000 * (now.delayS - before.delayS)) / shown) : null,
  };
}
