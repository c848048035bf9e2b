/**
 * One live session with a doorbell: WebRTC directly to it, with the relay only for signalling.
 *
 * This browser signs its offer and candidates, and takes only the doorbell's own signed answer,
 * checked before WebRTC hears of it. The offer isn't held back for gathering: candidates follow.
 * A browser that can't decode H.264 over WebRTC offers the data channels alone: recordings come over them.
 * What is said over the session is in live_control.js and clips.js.
 * @module
 */
import { ApiError } from "./api.js";
import { ClocksDiffer, NoSession, Tampered } from "./live_errors.js";
import { nowMs } from "./town_time.js";
import { newId, unb64u } from "./vendor/protocol/encoding.js";
import {
  AnswerRefused,
  MAX_CANDIDATES,
  MAX_CANDIDATE_MESSAGES,
  checkAnswer,
  fingerprintOfCertificate,
  signLive,
} from "./vendor/protocol/live.js";

/** How long candidates are collected before they are sent, several at once. */
const TRICKLE_MS = 60;

/** @typedef {import("./live_prefetch.js").Call} Call */
/** @typedef {import("./vendor/protocol/documents.js").LiveAnswer} LiveAnswer */
/** @typedef {"asking" | "connecting" | "connected" | "shaky" | "lost" | "hung_up" | "closed"} LiveState `closed` comes last, always */

export class LiveSession {
  /** @param {import("./api.js").Relay} relay @param {Call} call */
  constructor(relay, call) {
    this.relay = relay;
    this.call = call;
    this.sessionId = newId();
    this.peer = new RTCPeerConnection({ iceServers: call.iceServers, bundlePolicy: "max-bundle" });
    this.control = this.peer.createDataChannel("control");
    this.clips = this.peer.createDataChannel("clips");
    this.clips.binaryType = "arraybuffer";
    this.stream = new MediaStream();
    /** @type {RTCRtpTransceiver | null} null: what is played at once can't be shown here */
    this.video = null;
    /** @type {RTCRtpTransceiver | null} both ways; the microphone is put in when one talks */
    this.sound = null;
    const codecs = h264Codecs();
    if (codecs.length > 0) this.#addMedia(codecs);
    /** @type {(state: LiveState) => void} */
    this.onState = () => {};
    /** @type {(error: Error) => void} what ends a session that was connected already */
    this.onRefused = () => {};
    this.isClosed = false;
    /** Takes back what is on its way: the doorbell would refuse it after the end. */
    this.ending = new AbortController();
    /** @type {LiveAnswer | null} */
    this.answer = null;
    this.trickle = new Trickle((number, candidates, isLast) => this.#send(number, candidates, isLast));
    this.peer.addEventListener("icecandidate", ({ candidate }) => this.trickle.take(candidate));
    this.peer.addEventListener("track", ({ track }) => this.stream.addTrack(track));
    this.peer.addEventListener("connectionstatechange", () => this.#told());
    this.control.addEventListener("close", () => this.#hungUp());
    this.leave = () => this.close({ isLeaving: true });
    addEventListener("pagehide", this.leave);
  }

  /** Asks the doorbell; resolves once its answer is in place. Ends itself if that fails. */
  async start() {
    try {
      this.onState("asking");
      await this.#offer();
      const sdp = withoutMdnsCandidates(this.peer.localDescription?.sdp ?? "");
      this.trickle.skip(sdp);
      const answer = (this.answer = await this.#ask(sdp));
      if (this.isClosed) return;
      this.onState("connecting");
      await this.peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
      this.trickle.begin();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Ends the session and tells the doorbell. @param {{isLeaving?: boolean}} [how] */
  close({ isLeaving = false } = {}) {
    if (this.isClosed) return;
    this.isClosed = true;
    removeEventListener("pagehide", this.leave);
    this.trickle.end();
    this.ending.abort();
    this.peer.close();
    this.onState("closed");
    const path = `doorbells/${this.call.device}/sessions/${this.sessionId}`;
    this.relay.delete(path, { keepalive: isLeaving }).catch(() => {
      // The doorbell also notices by itself that nobody watches.
    });
  }

  /** @param {RTCRtpCodec[]} codecs */
  #addMedia(codecs) {
    this.video = this.peer.addTransceiver("video", { direction: "recvonly" });
    this.video.setCodecPreferences(codecs);
    const direction = this.call.purpose === "live" ? "sendrecv" : "recvonly";
    this.sound = this.peer.addTransceiver("audio", { direction });
  }

  async #offer() {
    if (this.video === null && this.call.purpose === "live") {
      throw new NoSession("this browser can't show H.264 video");
    }
    await this.peer.setLocalDescription();
  }

  /** @param {string} sdp @returns {Promise<LiveAnswer>} */
  async #ask(sdp) {
    try {
      return await this.#askOnce(sdp);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "nonce")) throw error;
      this.call.nonce = await this.call.newNonce(); // the one before was too old
      return this.#askOnce(sdp);
    }
  }

  /** @param {string} sdp */
  async #askOnce(sdp) {
    const { device, browser, nonce, purpose, identityKey } = this.call;
    const offer = await signLive(
      {
        v: 1,
        domain: "doorward/live-offer/v1",
        device,
        session_id: this.sessionId,
        nonce,
        browser: browser.id,
        purpose,
        hears: false, // it is asked for on the channel
        sdp,
      },
      browser.pairs.session.privateKey,
    );
    const sent = { session_id: this.sessionId, signed: offer };
    const { signed } = await this.relay.post(`doorbells/${device}/offer`, sent);
    return this.#checked(checkAnswer(signed, unb64u(identityKey), { offer, nowMs: nowMs() }));
  }

  /** @param {Promise<LiveAnswer>} checking */
  async #checked(checking) {
    try {
      return await checking;
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      const isOld = error instanceof AnswerRefused && error.reason === "expired";
      throw isOld ? new ClocksDiffer(message) : new Tampered(message);
    }
  }

  /** @param {number} number @param {string[]} candidates @param {boolean} isLast */
  async #send(number, candidates, isLast) {
    const { device, browser, nonce } = this.call;
    const signed = await signLive(
      {
        v: 1,
        domain: "doorward/live-candidates/v1",
        device,
        session_id: this.sessionId,
        nonce,
        browser: browser.id,
        number,
        candidates,
        is_last: isLast,
      },
      browser.pairs.session.privateKey,
    );
    const { signal } = this.ending;
    if (signal.aborted) return;
    const path = `doorbells/${device}/sessions/${this.sessionId}/candidates`;
    await this.relay.post(path, { signed }, { signal }).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  async #told() {
    const state = this.peer.connectionState;
    if (state === "connected" && (await this.#isDoorbellsCertificate())) this.onState("connected");
    if (state === "disconnected") this.onState("shaky");
    if (state === "failed") this.onState("lost");
  }

  #hungUp() {
    if (this.isClosed) return;
    this.onState("hung_up");
    this.close();
  }

  /** Compares the certificate that was really used: DTLS has done so already, by the signed SDP. */
  async #isDoorbellsCertificate() {
    const transport = this.peer.sctp?.transport;
    const [certificate] = transport?.getRemoteCertificates?.() ?? [];
    if (certificate === undefined) return true; // a browser that doesn't show it
    const used = await fingerprintOfCertificate(new Uint8Array(certificate));
    if (this.answer?.answer_fingerprints.includes(used)) return !this.isClosed;
    this.close();
    this.onRefused(new Tampered("the connection is to another certificate than was signed"));
    return false;
  }
}

/** Sends this side's candidates in the order in which they come, a few messages in all. */
export class Trickle {
  /** @param {(number: number, candidates: string[], isLast: boolean) => Promise<void>} send */
  constructor(send) {
    this.send = send;
    /** @type {string[]} */
    this.waiting = [];
    this.number = 0;
    this.isComplete = false;
    this.hasBegun = false;
    this.isOver = false;
    this.hasEnded = false;
    /** @type {Promise<void>} one message at a time: the doorbell wants them in order */
    this.turn = Promise.resolve();
    this.timer = 0;
    /** @type {Set<string>} */
    this.skipped = new Set();
  }

  /** Leaves out what the offer says already. @param {string} sdp */
  skip(sdp) {
    for (const line of sdp.split("\r\n")) {
      if (line.startsWith("a=candidate:")) this.skipped.add(line.slice(2));
    }
  }

  /** @param {Pick<RTCIceCandidate, "candidate"> | null} candidate null: there will be no more */
  take(candidate) {
    const line = candidate?.candidate ?? "";
    if (line === "") this.isComplete ||= candidate === null;
    else this.waiting.push(line);
    if (this.hasBegun && !this.timer) this.timer = setTimeout(() => this.#flush(), TRICKLE_MS);
  }

  /** The doorbell has a session to add them to. */
  begin() {
    this.hasBegun = true;
    this.#flush();
  }

  end() {
    this.isOver = this.hasEnded = true;
    clearTimeout(this.timer);
  }

  #flush() {
    this.timer = 0;
    const room = MAX_CANDIDATE_MESSAGES - this.number;
    if (this.isOver || room <= 0 || (room === 1 && !this.isComplete)) return;
    const fresh = this.waiting.filter((line) => !this.skipped.has(line));
    if (fresh.length === 0 && !this.isComplete) return;
    this.waiting = fresh.slice(MAX_CANDIDATES);
    const isLast = this.isComplete && this.waiting.length === 0;
    const number = (this.number += 1);
    if (isLast) this.isOver = true;
    const candidates = fresh.slice(0, MAX_CANDIDATES);
    this.turn = this.turn
      .then(() => (this.hasEnded ? undefined : this.send(number, candidates, isLast)))
      .catch((error) => console.warn("candidates", error)); // others may do
    if (this.waiting.length > 0) this.#flush();
  }
}

/**
 * Leaves out what only the home network can resolve: it would hold the doorbell's answer up.
 * Those candidates are sent later, like all others.
 * @param {string} sdp
 */
export function withoutMdnsCandidates(sdp) {
  return sdp
    .split("\r\n")
    .filter((line) => !(line.startsWith("a=candidate:") && line.includes(".local ")))
    .join("\r\n");
}

/** @returns {RTCRtpCodec[]} none if this browser can't decode H.264 over WebRTC */
function h264Codecs() {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const h264 = codecs.filter((codec) => codec.mimeType === "video/H264");
  return h264.length === 0 ? [] : [...h264, ...codecs.filter((codec) => codec.mimeType === "video/rtx")];
}
