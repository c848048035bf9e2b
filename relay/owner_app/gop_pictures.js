/**
 * Single pictures of a checked recording, decoded by WebCodecs from the very NAL units that were
 * hashed and found in its signed manifest (clips.js). No page here.
 *
 * A group's first picture is a key frame, so it is decoded alone; of its last picture the whole
 * group is decoded. Decoded pictures are painted and released at once: a decoder has few of them.
 * @module
 */
import { readMp4 } from "./vendor/protocol/mp4.js";

/** @typedef {import("./clips.js").CheckedClip} CheckedClip */
/** @typedef {import("./vendor/protocol/footage.js").AccessUnit} AccessUnit */
/** @typedef {{gop: number, unit: AccessUnit}} Placed `gop` counts from 0 */

const NAL_TYPE_SPS = 7;
const START_CODE = Uint8Array.of(0, 0, 0, 1);

/** A browser without WebCodecs, or without its H.264. */
export class NoDecoder extends Error {}

/**
 * Paints each wanted group's first picture on its canvas. Throws NoDecoder.
 * @param {Pick<CheckedClip, "blob" | "manifest">} clip
 * @param {Map<number, HTMLCanvasElement>} wanted by the group's number
 */
export async function paintFirst({ blob, manifest }, wanted) {
  const last = Math.max(...wanted.keys());
  await decode(blob, {
    isWanted: ({ gop, unit }) => unit.is_key && wanted.has(gop),
    isBehind: ({ gop }) => gop > last,
    onPicture: (picture, gop) => paint(picture, /** @type {HTMLCanvasElement} */ (wanted.get(gop)), manifest.rotation ?? 0),
  });
}

/**
 * Paints a group's last picture. Throws NoDecoder.
 * @param {Pick<CheckedClip, "blob" | "manifest">} clip @param {number} wanted the group's number @param {HTMLCanvasElement} canvas
 */
export async function paintLast({ blob, manifest }, wanted, canvas) {
  await decode(blob, {
    isWanted: ({ gop }) => gop === wanted,
    isBehind: ({ gop }) => gop > wanted,
    onPicture: (picture) => paint(picture, canvas, manifest.rotation ?? 0),
  });
}

/**
 * @param {Blob} blob
 * @param {{isWanted: (placed: Placed) => boolean, isBehind: (placed: Placed) => boolean, onPicture: (picture: VideoFrame, gop: number) => void}} how
 */
async function decode(blob, { isWanted, isBehind, onPicture }) {
  if (typeof VideoDecoder !== "function") throw new NoDecoder("this browser has no WebCodecs");
  /** @type {unknown} */
  let failed = null;
  const decoder = new VideoDecoder({
    output: (picture) => {
      onPicture(picture, picture.timestamp);
      picture.close();
    },
    error: (error) => (failed = error),
  });
  try {
    for await (const placed of placedUnits(blob)) {
      if (isBehind(placed) || failed !== null) break;
      if (!isWanted(placed)) continue;
      const { gop, unit } = placed;
      if (decoder.state === "unconfigured") await configure(decoder, unit);
      const type = unit.is_key ? "key" : "delta";
      decoder.decode(new EncodedVideoChunk({ type, timestamp: gop, data: annexB(unit.nal_units) }));
    }
    if (decoder.state === "configured") await decoder.flush();
  } catch (error) {
    throw error instanceof NoDecoder ? error : new NoDecoder(String(failed ?? error), { cause: failed ?? error });
  } finally {
    if (decoder.state !== "closed") decoder.close();
  }
}

/** @param {Blob} blob @returns {AsyncGenerator<Placed>} */
async function* placedUnits(blob) {
  let gop = -1;
  for await (const unit of (await readMp4(blob)).pictures()) {
    if (unit.is_key) gop += 1;
    yield { gop, unit };
  }
}

/** @param {VideoDecoder} decoder @param {AccessUnit} unit a key frame, with its SPS */
async function configure(decoder, { nal_units }) {
  const config = { codec: codecOf(nal_units), optimizeForLatency: true };
  const { supported } = await VideoDecoder.isConfigSupported(config);
  if (!supported) throw new NoDecoder(`this browser can't decode ${config.codec}`);
  decoder.configure(config);
}

/** Returns the name of a stream's profile and level (RFC 6381 3.3). @param {Uint8Array[]} nalUnits */
export function codecOf(nalUnits) {
  const sps = nalUnits.find((unit) => (unit[0] & 0x1f) === NAL_TYPE_SPS);
  if (sps === undefined || sps.length < 4) throw new NoDecoder("a key frame without its SPS");
  return `avc1.${[...sps.subarray(1, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @param {Uint8Array[]} nalUnits */
function annexB(nalUnits) {
  const parts = nalUnits.flatMap((unit) => [START_CODE, unit]);
  const data = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

/**
 * Paints a picture as large as the canvas is, as it is shown: turned as its clip says.
 * @param {VideoFrame} picture @param {HTMLCanvasElement} canvas @param {number} rotation degrees clockwise
 */
function paint(picture, canvas, rotation) {
  const isOnSide = rotation % 180 !== 0;
  const { displayWidth, displayHeight } = picture;
  const [width, height] = isOnSide ? [displayHeight, displayWidth] : [displayWidth, displayHeight];
  const scale = Math.min(1, Number(canvas.dataset.most ?? width) / width);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((rotation * Math.PI) / 180);
  const [across, down] = isOnSide ? [canvas.height, canvas.width] : [canvas.width, canvas.height];
  context.drawImage(picture, -across / 2, -down / 2, across, down);
  canvas.dataset.painted = "";
}
