/**
 * One live session with a doorbell: WebRTC straight to it, the relay only carries the offer.
 *
 * The offer is not held back for gathering, and `.local` candidates are left out: resolving
 * them costs the doorbell a second, and it learns this browser's address from the checks anyway.
 * @module
 */
import { newId } from "./vendor/protocol/encoding.js";
import { pause } from "./household.js";

const GATHER_MS = 50;

/** @typedef {"asking" | "connecting" | "connected" | "lost" | "closed"} LiveState */

/** The doorbell didn't take the session; the message says what to do. */
export class NoSession extends Error {}

export class LiveSession {
  /**
   * @param {import("./api.js").Relay} relay
   * @param {string} device
   * @param {RTCIceServer[]} iceServers
   */
  constructor(relay, device, iceServers) {
    this.relay = relay;
    this.device = device;
    this.sessionId = newId();
    this.startedMs = performance.now();
    this.peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.clips = this.peer.createDataChannel("clips");
    this.clips.binaryType = "arraybuffer";
    this.stream = new MediaStream();
    /** @type {(state: LiveState) => void} */
    this.onState = () => {};
    this.isClosed = false;
    this.peer.addEventListener("track", ({ track }) => this.stream.addTrack(track));
    this.peer.addEventListener("connectionstatechange", () => this.#told());
    this.leave = () => this.close({ isLeaving: true });
    addEventListener("pagehide", this.leave);
  }

  /** Asks the doorbell; resolves once its answer is in place. */
  async start() {
    this.onState("asking");
    const transceiver = this.peer.addTransceiver("video", { direction: "recvonly" });
    transceiver.setCodecPreferences(h264Codecs());
    await this.peer.setLocalDescription();
    await this.#gathered();
    const sdp = withoutMdnsCandidates(this.peer.localDescription?.sdp ?? "");
    const answer = await this.relay.post(`doorbells/${this.device}/offer`, {
      session_id: this.sessionId,
      sdp,
    });
    if (this.isClosed) return;
    this.onState("connecting");
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** Ends the session and tells the doorbell. @param {{isLeaving?: boolean}} [how] */
  close({ isLeaving = false } = {}) {
    if (this.isClosed) return;
    this.isClosed = true;
    removeEventListener("pagehide", this.leave);
    this.peer.close();
    this.onState("closed");
    const path = `doorbells/${this.device}/sessions/${this.sessionId}`;
    this.relay.delete(path, { keepalive: isLeaving }).catch(() => {
      // The doorbell also notices by itself that nobody watches.
    });
  }

  #told() {
    const state = this.peer.connectionState;
    if (state === "connected") this.onState("connected");
    if (state === "failed" || state === "disconnected") this.onState("lost");
  }

  async #gathered() {
    if (this.peer.iceGatheringState === "complete") return;
    const complete = new Promise((resolve) => {
      this.peer.addEventListener("icegatheringstatechange", () => {
        if (this.peer.iceGatheringState === "complete") resolve(undefined);
      });
    });
    await Promise.race([complete, pause(GATHER_MS)]);
  }
}

/** @param {string} sdp */
export function withoutMdnsCandidates(sdp) {
  return sdp
    .split("\r\n")
    .filter((line) => !(line.startsWith("a=candidate:") && line.includes(".local ")))
    .join("\r\n");
}

function h264Codecs() {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const h264 = codecs.filter((codec) => codec.mimeType === "video/H264");
  if (h264.length === 0) throw new NoSession("this browser can't show H.264 video");
  return [...h264, ...codecs.filter((codec) => codec.mimeType === "video/rtx")];
}
