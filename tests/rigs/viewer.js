/**
 * A viewer that does what the owner's app does to see a door, and tells what it saw.
 *
 * Offers at once without `.local` candidates, by one POST. Times are in ms since the page's
 * beginning, those of `joined` since the click. Pictures may carry their number in eight squares
 * (tests/bench/numbered_film.py).
 * @module
 */
const BITS = 7;
const CELL_SHARE = 60;
const GREY = 128;
const PICTURES_PER_READING = 13;

/** @type {HTMLVideoElement} */
const video = document.querySelector("video") ?? document.body.appendChild(document.createElement("video"));
const squares = new OffscreenCanvas(BITS + 1, 1);
/** @type {RTCPeerConnection | null} */
let peer = null;
/** When each picture was shown. @type {number[]} */
const shown = [];
/** What the doorbell said over "control", oldest first. @type {string[]} */
const said = [];

/** Asks, and waits for the first picture. @returns {Promise<{first_frame_ms: number, connected_ms: number, width: number, number: number | null}>} */
async function join() {
  const begun = performance.now();
  const joining = (peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
  joining.createDataChannel("clips");
  said.length = 0;
  const control = joining.createDataChannel("control");
  control.addEventListener("message", ({ data }) => said.push(data));
  const stream = new MediaStream();
  let connected = 0;
  joining.addEventListener("track", ({ track }) => stream.addTrack(track));
  joining.addEventListener("connectionstatechange", () => {
    if (joining.connectionState === "connected") connected = performance.now() - begun;
  });
  shown.length = 0;
  video.srcObject = stream;
  const first = new Promise((resolve) => {
    video.requestVideoFrameCallback((_, { width }) => resolve([performance.now() - begun, width]));
  });
  const transceiver = joining.addTransceiver("video", { direction: "recvonly" });
  transceiver.setCodecPreferences(h264Codecs());
  await joining.setLocalDescription();
  const response = await fetch("/offer", { method: "POST", body: withoutMdns(joining.localDescription?.sdp ?? "") });
  if (!response.ok) throw new Error(await response.text());
  await joining.setRemoteDescription({ type: "answer", sdp: await response.text() });
  const [firstFrame, width] = await first;
  return { first_frame_ms: firstFrame, connected_ms: connected, width, number: numberShown() };
}

/** Leaves. */
function leave() {
  peer?.close();
  peer = null;
  video.srcObject = null;
}

/**
 * Takes down every picture for so long; few numbers are read, for that takes longer than to show.
 * @param {number} ms @returns {Promise<[number, number, number | null][]>} RTP timestamp, when, number
 */
async function watch(ms) {
  const end = performance.now() + ms;
  /** @type {[number, number, number | null][]} */
  const seen = [];
  while (performance.now() < end) {
    const { rtpTimestamp, at } = await nextPicture();
    seen.push([rtpTimestamp, at, seen.length % PICTURES_PER_READING === 0 ? numberShown() : null]);
  }
  return seen;
}

/** What the browser counted, and when pictures were shown. */
async function facts() {
  const report = (await peer?.getStats()) ?? new Map();
  const video = [...report.values()].find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
  return { at: performance.now(), shown, video };
}

/** @type {VideoFrameRequestCallback} */
function takeDown() {
  shown.push(performance.now());
  video.requestVideoFrameCallback(takeDown);
}

/** When it is seen is the later of when the browser says so and when it is said. */
function nextPicture() {
  return new Promise((resolve) => {
    video.requestVideoFrameCallback((_, { rtpTimestamp, expectedDisplayTime }) => {
      resolve({ rtpTimestamp, at: Math.max(performance.now(), expectedDisplayTime) });
    });
  });
}

/** @returns {number | null} null for a picture without one */
function numberShown() {
  const cell = Math.floor(video.videoWidth / CELL_SHARE);
  const brush = squares.getContext("2d", { willReadFrequently: true });
  if (brush === null || cell === 0) return null;
  brush.drawImage(video, 0, 0, (BITS + 1) * cell, cell, 0, 0, BITS + 1, 1);
  const { data } = brush.getImageData(0, 0, BITS + 1, 1);
  const bits = Array.from({ length: BITS + 1 }, (_, i) => Number(data[4 * i] > GREY));
  const isEven = bits.reduce((sum, bit) => sum + bit, 0) % 2 === 0;
  return isEven ? bits.slice(0, BITS).reduce((number, bit) => 2 * number + bit, 0) : null;
}

/** @param {string} sdp */
function withoutMdns(sdp) {
  const lines = sdp.split("\r\n");
  return lines.filter((line) => !(line.startsWith("a=candidate:") && line.includes(".local "))).join("\r\n");
}

function h264Codecs() {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  return codecs.filter(({ mimeType }) => mimeType === "video/H264" || mimeType === "video/rtx");
}

video.requestVideoFrameCallback(takeDown);
Object.assign(globalThis, { viewer: { join, leave, watch, facts, said } });
