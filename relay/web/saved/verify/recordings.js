/**
 * Checks of one recording, as in relay/verify/recordings.py: its signed manifest, the owner's
 * range, its pictures and its sound.
 * @module
 */
import { canonical, hex } from "../../static/js/protocol/encoding.js";
import { checkManifest, gopsOf, spansOf } from "../../static/js/protocol/footage.js";
import { readMp4 } from "../../static/js/protocol/mp4.js";
import { fileBoxes } from "../../static/js/protocol/mp4_boxes.js";
import { deviceCertificate } from "./document_checks.js";
import { clipOf, documentOf, manifestDigest, must, signedManifest, statementUnverified, termsUnverified } from "./document_reader.js";
import { checkShown } from "./display_checks.js";

/** @typedef {import("./document_reader.js").Files} Files */
/** @typedef {import("../../static/js/protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {import("../../static/js/protocol/footage.js").AccessUnit} AccessUnit */
/** @typedef {import("../../static/js/protocol/footage.js").SoundUnit} SoundUnit */
/** @typedef {{v: 1, clip_id: string, first_gop: number, gop_count: number, first_span: number, span_count: number, provenance: string, corrected_ms: number}} ReleasedPart */

const TICKS_PER_MS = 90;
const SOUND_UNIT_90K = 1920;
const SOUND_SLACK_90K = 4;
const EPOCH_1904_S = 2_082_844_800;
const LAST_1904_S = 2 ** 32 - 1;
/** What a doorbell may say of C2PA, as in firmware/protocol/released_part.py. */
const PROVENANCE = /^(c2pa|none: [ -~]{1,200})$/;
const NONE = "none: ";
const C2PA_BOX = "d8fec3d61b0e483c92975828877ec481";

/** @param {Files} files @param {number} number @returns {Promise<ClipManifest>} */
export async function checkSignature(files, number) {
  const manifest = await checkManifest(signedManifest(files, number), deviceCertificate(files).spki);
  must(manifest.device === statementUnverified(files).device, "recorded by another doorbell");
  return manifest;
}

/** The owner gave this recording, and exactly what lies in the time given is here. @param {Files} files @param {number} number */
export async function checkRange(files, number) {
  const manifest = await checkSignature(files, number);
  const digest = await manifestDigest(files, number);
  const terms = termsUnverified(files);
  const given = terms.clips.filter((/** @type {any} */ clip) => clip.manifest_digest === digest);
  must(given.length === 1, "no grant names this recording");
  const released = partOf(files, number);
  const wanted = partWithin(manifest, given[0], terms.has_audio, released);
  must(canonical(released) === canonical(wanted), "more or less of it is here than the owner gave");
}

/** @param {Files} files @param {number} number @returns {ReleasedPart} */
export function partOf(files, number) {
  must(!files.has(`trim-${number}.json`), "a trimmed copy is for `doorward-verify` to check");
  const part = documentOf(files, `part-${number}.json`);
  const { provenance, corrected_ms } = part ?? {};
  must(typeof provenance === "string" && PROVENANCE.test(provenance), "what is said of C2PA isn't what a doorbell can say");
  must(Number.isSafeInteger(corrected_ms), "not a time");
  return part;
}

/**
 * Returns the whole GOPs between two wall times, and their sound, as firmware/protocol/released_part.py does.
 * @param {ClipManifest} manifest @param {{from_ms: number, to_ms: number}} given
 * @param {boolean} withSound @param {ReleasedPart} released @returns {ReleasedPart}
 */
function partWithin(manifest, { from_ms, to_ms }, withSound, { provenance, corrected_ms }) {
  const { clip_id, is_clock_trusted, duration_90k, gops } = manifest;
  must(!is_clock_trusted || corrected_ms === 0, "a clip whose clock was right has no other time");
  const started_ms = manifest.started_ms + corrected_ms;
  const begin = (from_ms - started_ms) * TICKS_PER_MS;
  const end = (to_ms - started_ms) * TICKS_PER_MS;
  const isToEnd = end >= Math.floor(duration_90k / TICKS_PER_MS) * TICKS_PER_MS;
  const borders = [...gops.map((gop) => gop.first_pts_90k), duration_90k];
  const inside = gops
    .map((_, place) => place)
    .filter((place) => borders[place] >= begin)
    .filter((place) => borders[place + 1] <= end || (isToEnd && place + 1 === gops.length));
  must(inside.length > 0, "no whole group of pictures lies between these times");
  const spans = withSound ? spansWithin(manifest, inside[0], inside[inside.length - 1]) : [];
  const sound = { first_span: spans[0] ?? 0, span_count: spans.length };
  return { v: 1, clip_id, corrected_ms, first_gop: inside[0], gop_count: inside.length, ...sound, provenance };
}

/** @param {ClipManifest} manifest @param {number} firstGop @param {number} lastGop */
function spansWithin({ gops, sound }, firstGop, lastGop) {
  const isToEnd = lastGop + 1 === gops.length;
  const begin = firstGop > 0 ? gops[firstGop].first_pts_90k : -SOUND_UNIT_90K;
  const end = isToEnd ? 0 : gops[lastGop + 1].first_pts_90k;
  return (sound?.spans ?? []).flatMap(({ first_pts_90k, unit_count }, place) =>
    first_pts_90k >= begin && (isToEnd || first_pts_90k + unit_count * SOUND_UNIT_90K <= end) ? [place] : [],
  );
}

/** Exactly the signed pictures, all of them, in order and at their times. @param {Files} files @param {number} number */
export async function checkPictures(files, number) {
  const manifest = await checkSignature(files, number);
  const part = partOf(files, number);
  must(part.clip_id === manifest.clip_id, "the part named is of another recording");
  const signed = manifest.gops.slice(part.first_gop, part.first_gop + part.gop_count);
  must(signed.length > 0 && signed.length === part.gop_count, "the released part isn't one of this clip");
  const mp4 = await readMp4(clipOf(files, number));
  const offset = signed[0].first_pts_90k;
  let place = 0;
  for await (const gop of gopsOf(shifted(mp4.pictures(), offset))) {
    const isSame = canonical(gop) === canonical(signed[place] ?? null);
    must(isSame, "the pictures differ from what was signed, from part {at} on", { at: part.first_gop + place + 1 });
    place += 1;
  }
  const isAll = place === signed.length;
  must(isAll, "the pictures differ from what was signed, from part {at} on", { at: part.first_gop + place + 1 });
  const { width, height, rotation = 0 } = manifest;
  await checkShown(mp4, { width, height, rotation, created_1904_s: createdOf(manifest, offset) });
  return { template: "pictures: {count}", values: { count: mp4.pictureTimes().length } };
}

/** When a part of a clip was recorded, as its MP4 may tell (firmware/protocol/media/tags.py); 0 says nothing. @param {ClipManifest} manifest @param {number} begin_90k */
function createdOf({ is_clock_trusted, started_ms }, begin_90k) {
  const created_s = Math.floor((started_ms + Math.floor(begin_90k / TICKS_PER_MS)) / 1000) + EPOCH_1904_S;
  return is_clock_trusted && created_s <= LAST_1904_S ? created_s : 0;
}

/** Only the sound that was given, and then the signed one. @param {Files} files @param {number} number @returns {Promise<boolean>} */
export async function checkSound(files, number) {
  const manifest = await checkSignature(files, number);
  const part = partOf(files, number);
  const mp4 = await readMp4(clipOf(files, number));
  if (!termsUnverified(files).has_audio) {
    must(!mp4.hasSound, "it has sound, which the owner didn't give");
    return false;
  }
  must(manifest.sound !== undefined || !mp4.hasSound, "it has sound, but the doorbell recorded none");
  must(part.span_count === 0 || mp4.hasSound, "its sound was given, and is missing");
  must(part.span_count > 0 || !mp4.hasSound, "it has sound, which isn't part of what was released");
  if (!mp4.hasSound) return false;
  const signed = (manifest.sound?.spans ?? []).slice(part.first_span, part.first_span + part.span_count);
  must(signed.length === part.span_count, "the released sound isn't of this clip");
  const offset = manifest.gops[part.first_gop].first_pts_90k;
  let place = 0;
  for await (const span of spansOf(placed(mp4.sound(), offset, signed[0].first_pts_90k))) {
    must(canonical(span) === canonical(signed[place] ?? null), "the sound differs from what was signed");
    place += 1;
  }
  must(place === signed.length, "the sound differs from what was signed");
  return true;
}

/** Puts back what a part's times leave out. @param {AsyncIterable<AccessUnit>} units @param {number} offset */
async function* shifted(units, offset) {
  for await (const unit of units) yield { ...unit, pts_90k: unit.pts_90k + offset };
}

/** Puts each unit at its exact time; MP4 counts sound in samples. @param {AsyncIterable<SoundUnit>} units @param {number} offset @param {number} first */
async function* placed(units, offset, first) {
  let due = first;
  for await (const { pts_90k, data } of units) {
    must(Math.abs(pts_90k + offset - due) <= SOUND_SLACK_90K, "the sound lies at another time than was signed");
    yield { pts_90k: due, data };
    due += SOUND_UNIT_90K;
  }
}

/** What is said about C2PA agrees with the file; the claim itself is for a C2PA tool. @param {Files} files @param {number} number @returns {Promise<import("./checks.js").Said>} */
export async function checkProvenance(files, number) {
  const clip = clipOf(files, number);
  const claims = (await fileBoxes(clip)).filter((box) => box.type === "uuid");
  const types = await Promise.all(claims.map(({ begin, end }) => clip.slice(begin, Math.min(end, begin + 16)).arrayBuffer()));
  const isC2pa = claims.length <= 1 && types.every((type) => hex(new Uint8Array(type)) === C2PA_BOX);
  must(isC2pa, "the clip carries something that isn't C2PA's claim");
  const { provenance } = partOf(files, number);
  must((provenance === "c2pa") === claims.length > 0, "a C2PA claim is said to be there and isn't, or the other way round");
  if (claims.length > 0) return { template: "a claim, for a C2PA tool and the fleet's CA to check", values: {} };
  return { template: "none, says the doorbell: “{why}”", values: { why: provenance.slice(NONE.length) } };
}
