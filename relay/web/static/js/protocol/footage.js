/**
 * Clip manifests: GOP leaves and the root over them, as in firmware/protocol/footage.py.
 * @module
 */
import {
  WireError,
  hex,
  join,
  parseCanonical,
  sha256,
  sha256Hex,
  unb64u,
  unhex,
  utf8,
} from "./encoding.js";
import { verifyP256 } from "./p256.js";
import { Sha256 } from "./sha256.js";

/** @typedef {import("./documents.js").ClipManifest} ClipManifest */
/** @typedef {import("./documents.js").Gop} Gop */
/** @typedef {import("./documents.js").SignedManifest} SignedManifest */
/** @typedef {import("./documents.js").SoundTrack} SoundTrack */
/** @typedef {{pts_90k: number, is_key: boolean, nal_units: Uint8Array[]}} AccessUnit */
/** @typedef {{pts_90k: number, data: Uint8Array}} SoundUnit */
/** @typedef {AsyncIterable<AccessUnit> | Iterable<AccessUnit>} AccessUnits */
/** @typedef {AsyncIterable<SoundUnit> | Iterable<SoundUnit>} SoundUnits */

const GOP_TAG = utf8("doorward/gop/v1\0");
const SOUND_TAG = utf8("doorward/sound/v1\0");
const SPAN_UNITS = 48;
const MANIFEST_TAG = utf8("doorward/clip/v1\0");
const NAL_TYPE_IDR = 5;
/** NAL units of one access unit; their count is hashed in two bytes. */
const MAX_NAL_UNITS = 0xffff;
const MAX_WITNESSED = 4096;
/** No doorbell makes a longer one: see firmware/protocol/footage.py. */
const LONGEST_CLIP_90K = 600 * 90_000;
/** Nor one with more before its first trigger. */
export const LONGEST_PRE_ROLL_90K = 60 * 90_000;

const MANIFEST_FIELDS = [
  ...["v", "domain", "clip_id", "device", "boot_id", "counter", "started_ms", "is_clock_trusted"],
  ...["duration_90k", "width", "height", "pre_roll_90k", "ended", "lost_units", "mask_digest"],
  ...["triggers", "gops", "video_root"],
].sort();

const OPTIONAL_FIELDS = ["sound", "witnessed", "rotation", "gaps"];
/** Left out where pictures aren't turned to be shown. */
const TURNED_BY = [undefined, 90, 180, 270];

/** `mask_digest` of a clip without a privacy mask: SHA-256 over `[]`. */
export const NO_MASK_DIGEST = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

/**
 * Returns the NAL units of one MP4 sample with 4-byte lengths (ISO/IEC 14496-15).
 * @param {Uint8Array} sample
 */
export function splitLengthPrefixed(sample) {
  const view = new DataView(sample.buffer, sample.byteOffset, sample.byteLength);
  const units = [];
  let position = 0;
  while (position < sample.length) {
    const size = position + 4 <= sample.length ? view.getUint32(position) : 0;
    const unit = sample.subarray(position + 4, position + 4 + size);
    if (size === 0 || unit.length !== size) {
      throw new WireError("a NAL unit's length doesn't fit its sample");
    }
    if (units.length === MAX_NAL_UNITS) throw new WireError("a picture is of too many pieces");
    units.push(unit);
    position += 4 + size;
  }
  return units;
}

/**
 * Tells whether an access unit is a key frame (IDR, H.264 7.4.1.2.4).
 * @param {Uint8Array[]} units
 */
export function isKeyFrame(units) {
  return units.some((unit) => (unit[0] & 0x1f) === NAL_TYPE_IDR);
}

/**
 * Yields the GOPs of a clip's access units, each once its last picture was hashed; `pts_90k` counts
 * from the clip's first. Whoever takes no more of them has nothing more read.
 * @param {AccessUnits} units
 * @returns {AsyncGenerator<Gop>}
 */
export async function* gopsOf(units) {
  /** @type {{first_pts_90k: number, unit_count: number, digest: Sha256} | null} */
  let gop = null;
  for await (const unit of units) {
    if (unit.is_key) {
      if (gop !== null) yield closed(gop);
      gop = { first_pts_90k: unit.pts_90k, unit_count: 0, digest: new Sha256() };
      gop.digest.update(GOP_TAG);
    }
    if (gop === null) throw new WireError("a clip begins with a key frame");
    for (const part of hashedParts(unit)) gop.digest.update(part);
    gop.unit_count += 1;
  }
  if (gop === null) throw new WireError("a clip begins with a key frame");
  yield closed(gop);
}

/** @param {{first_pts_90k: number, unit_count: number, digest: Sha256}} gop @returns {Promise<Gop>} */
async function closed({ first_pts_90k, unit_count, digest }) {
  return { first_pts_90k, unit_count, leaf: await digest.hex() };
}

/**
 * Yields the spans of a clip's sound, in the same way.
 * @param {SoundUnits} units
 */
export async function* spansOf(units) {
  /** @type {{first_pts_90k: number, unit_count: number, digest: Sha256} | null} */
  let span = null;
  for await (const unit of units) {
    if (span === null) {
      span = { first_pts_90k: unit.pts_90k, unit_count: 0, digest: new Sha256() };
      span.digest.update(SOUND_TAG);
    }
    for (const part of heardParts(unit)) span.digest.update(part);
    span.unit_count += 1;
    if (span.unit_count < SPAN_UNITS) continue;
    yield closed(span);
    span = null;
  }
  if (span !== null) yield closed(span);
}

/** @param {AccessUnit} unit */
function hashedParts(unit) {
  const head = new DataView(new ArrayBuffer(11));
  head.setBigUint64(0, BigInt(unit.pts_90k));
  head.setUint8(8, unit.is_key ? 1 : 0);
  head.setUint16(9, unit.nal_units.length);
  return [
    new Uint8Array(head.buffer),
    ...unit.nal_units.flatMap((nal) => {
      const size = new DataView(new ArrayBuffer(4));
      size.setUint32(0, nal.length);
      return [new Uint8Array(size.buffer), nal];
    }),
  ];
}

/**
 * Returns the RFC 6962 tree hash over leaf data given in hexadecimal.
 * @param {string[]} leaves
 */
export async function merkleRoot(leaves) {
  let level = await Promise.all(leaves.map((leaf) => sha256(join(Uint8Array.of(0), unhex(leaf)))));
  if (level.length === 0) return sha256Hex(new Uint8Array());
  while (level.length > 1) {
    const next = [];
    for (let i = 0; i < level.length; i += 2) {
      const pair = i + 1 < level.length;
      next.push(pair ? await sha256(join(Uint8Array.of(1), level[i], level[i + 1])) : level[i]);
    }
    level = next;
  }
  return hex(level[0]);
}

/**
 * Returns the manifest if the doorbell's key signed it and it agrees with itself.
 * @param {SignedManifest} signed
 * @param {Uint8Array} identitySpki
 * @returns {Promise<ClipManifest>}
 */
export async function checkManifest(signed, identitySpki) {
  const message = join(MANIFEST_TAG, utf8(signed.manifest));
  if (!(await verifyP256(identitySpki, unb64u(signed.signature), message))) {
    throw new WireError("the clip manifest isn't signed by this doorbell");
  }
  const manifest = /** @type {ClipManifest} */ (parseCanonical(signed.manifest));
  // A page that took another version's manifest would say wrong things about its clip.
  const fields = Object.keys(manifest).filter((field) => !OPTIONAL_FIELDS.includes(field));
  if (String(fields.sort()) !== String(MANIFEST_FIELDS)) {
    throw new WireError("the clip manifest has other fields than are known here");
  }
  if ((await merkleRoot(manifest.gops.map((gop) => gop.leaf))) !== manifest.video_root) {
    throw new WireError("the clip manifest's root doesn't match its own leaves");
  }
  const { witnessed } = manifest;
  const isNote = typeof witnessed === "string" && witnessed.length > 0 && witnessed.length <= MAX_WITNESSED;
  if (witnessed !== undefined && !isNote) throw new WireError("the clip manifest's checkpoint isn't one");
  if (!TURNED_BY.includes(manifest.rotation)) throw new WireError("the clip manifest turns its pictures by another angle");
  const { gaps } = manifest;
  if (gaps !== undefined && !(isCount(gaps?.count) && isCount(gaps.longest_90k) && Object.keys(gaps).length === 2)) {
    throw new WireError("the clip manifest's gaps aren't counted as they must be");
  }
  if (manifest.sound !== undefined) await checkSoundTrack(manifest.sound);
  checkTimes(manifest);
  return manifest;
}

/** Returns width and height of a clip's pictures as they are shown. @param {ClipManifest} manifest @returns {[number, number]} */
export function shownSize({ width, height, rotation }) {
  return (rotation ?? 0) % 180 === 0 ? [width, height] : [height, width];
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/** Throws for times that no doorbell makes: whoever has its key would date with them. @param {ClipManifest} manifest */
function checkTimes({ duration_90k, pre_roll_90k, gops }) {
  if (!(duration_90k <= LONGEST_CLIP_90K)) {
    throw new WireError("the clip manifest tells of a longer clip than a doorbell makes");
  }
  if (!(pre_roll_90k >= 0 && pre_roll_90k <= LONGEST_PRE_ROLL_90K)) {
    throw new WireError("the clip manifest tells of more before the first trigger than there is");
  }
  const ends = [...gops.slice(1).map((gop) => gop.first_pts_90k), duration_90k];
  if (!gops.every((gop, place) => gop.first_pts_90k >= 0 && gop.first_pts_90k < ends[place])) {
    throw new WireError("the clip manifest's parts don't follow each other up to its end");
  }
}

/**
 * Tells whether these access units are, picture for picture, the ones in the manifest.
 * @param {AccessUnits} units
 * @param {ClipManifest} manifest
 */
export async function isSameFootage(units, { gops }) {
  return isSame(gopsOf(units), gops);
}

/**
 * Tells whether these are exactly the parts that were signed; reads no further than it must.
 * @param {AsyncIterable<{leaf: string, first_pts_90k: number, unit_count: number}>} found
 * @param {{leaf: string, first_pts_90k: number, unit_count: number}[]} signed
 */
async function isSame(found, signed) {
  let place = 0;
  for await (const { leaf, first_pts_90k, unit_count } of found) {
    const due = signed[place];
    if (leaf !== due?.leaf || first_pts_90k !== due.first_pts_90k || unit_count !== due.unit_count) return false;
    place += 1;
  }
  return place === signed.length;
}

/** @param {SoundTrack} sound */
async function checkSoundTrack({ codec, sample_rate_hz, channels, spans, root }) {
  if (codec !== "aac-lc" || sample_rate_hz !== 48_000 || channels !== 1) {
    throw new WireError("the clip manifest names a kind of sound that isn't known here");
  }
  if ((await merkleRoot(spans.map((span) => span.leaf))) !== root) {
    throw new WireError("the clip manifest's sound root doesn't match its own leaves");
  }
}

/**
 * Tells whether these units are, sample for sample and moment for moment, the sound in the manifest.
 * @param {SoundUnits} units
 * @param {ClipManifest} manifest
 */
export async function isSameSound(units, { sound }) {
  return isSame(spansOf(units), sound?.spans ?? []);
}

/** What is hashed of a unit of sound. @param {SoundUnit} unit */
function heardParts({ pts_90k, data }) {
  const head = new DataView(new ArrayBuffer(12));
  head.setBigInt64(0, BigInt(pts_90k));
  head.setUint32(8, data.length);
  return [new Uint8Array(head.buffer), data];
}
