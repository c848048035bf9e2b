/**
 * The recordings that a request asks for, and the terms of a grant that an owner signs. No page
 * here.
 *
 * The times signed of a recording that was watched are the doorbell's own word (clips.js): a relay
 * that gave another beginning would have another part signed than was watched. Of one that wasn't
 * they are those of its newest telling, as they stand beside it. The doorbell refuses what its
 * library doesn't have, to the millisecond (firmware/consent/verifier.py). It gives the whole groups
 * of pictures between two signed times: so a part begins at a border rounded down, and ends at one
 * rounded up, else a group would be lost by the rounding.
 * @module
 */
import { NO_IDENTITY } from "./vendor/protocol/decisions.js";

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./household.js").ClipEvent} ClipEvent */
/** @typedef {import("./vendor/protocol/documents.js").Agency} Agency */
/** @typedef {import("./clips.js").CheckedClip} CheckedClip */
/** @typedef {import("./vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./vendor/protocol/documents.js").GrantTerms} GrantTerms */
/** @typedef {import("./vendor/protocol/documents.js").IdentityGiven} IdentityGiven */
/** @typedef {{request: EvidenceRequest, digest: string, agency: Agency, device: string}} Asked */
/** @typedef {{from_ms: number, to_ms: number}} Span */
/** @typedef {Span & {number: number}} Part one group of pictures of a recording; `number` counts from 0 */
/** @typedef {{clip: ClipEvent, span: Span, isCut: boolean}} Offered `span` is what of it lies in the asked time */
/** @typedef {{clip: ClipEvent, span: Span}} Chosen */

/** One grant names at most so many (firmware/protocol/grants.py). */
export const MAX_CLIPS = 16;
const TICKS_PER_MS = 90;

/**
 * Returns what lies in the asked time, oldest first; of what reaches over its edge, the part inside.
 * @param {Household} household @param {Pick<Asked, "request" | "device">} asked
 * @returns {Offered[]}
 */
export function requestedClips(household, { request, device }) {
  return household.clips
    .filter((clip) => clip.device === device)
    .map((clip) => {
      const { from_ms, to_ms } = spanOf(household, clip);
      const span = { from_ms: Math.max(from_ms, request.from_ms), to_ms: Math.min(to_ms, request.to_ms) };
      return { clip, span, isCut: span.from_ms > from_ms || span.to_ms < to_ms };
    })
    .filter(({ span }) => span.from_ms < span.to_ms)
    .reverse();
}

/** Returns when a recording begins and ends, as it was told by way of the relay. @param {Household} household @param {ClipEvent} clip @returns {Span} */
export function spanOf(household, clip) {
  const from_ms = household.startOf(clip);
  return { from_ms, to_ms: from_ms + clip.body.duration_ms };
}

/**
 * Returns when a checked recording begins and ends, by its doorbell's word; null if it didn't say.
 * @param {Pick<CheckedClip, "started_ms" | "manifest">} checked
 * @returns {Span | null}
 */
export function checkedSpan({ started_ms, manifest }) {
  return started_ms === null ? null : { from_ms: started_ms, to_ms: started_ms + durationOf(manifest) };
}

/** Returns how long a checked recording is, in whole milliseconds as its doorbell counts them. @param {CheckedClip["manifest"]} manifest */
export function durationOf({ duration_90k }) {
  return Math.floor(duration_90k / TICKS_PER_MS);
}

/**
 * Returns the parts that can be given of a checked recording, one a group of pictures, in order: the
 * times to be signed for each, those wholly in the asked time only.
 * @param {CheckedClip["manifest"]} manifest @param {Span} whole its `checkedSpan` @param {Span} asked
 * @returns {Part[]}
 */
export function partsOf({ gops }, { from_ms: started_ms, to_ms: end_ms }, asked) {
  return gops
    .map(({ first_pts_90k }, number) => {
      const next = gops[number + 1];
      return {
        number,
        from_ms: started_ms + Math.floor(first_pts_90k / TICKS_PER_MS),
        to_ms: next === undefined ? end_ms : started_ms + Math.ceil(next.first_pts_90k / TICKS_PER_MS),
      };
    })
    .filter(({ from_ms, to_ms }) => from_ms >= asked.from_ms && to_ms <= asked.to_ms && from_ms < to_ms);
}

/**
 * Returns the range of parts that lies between two moments, each moved inwards to the next border;
 * at least one part, the one that the moved end meets.
 * @param {Part[]} parts @param {{first: number, last: number}} range now, by places in `parts`
 * @param {"from" | "to"} moved @param {number} ms where that end was moved to
 * @returns {{first: number, last: number}}
 */
export function snapped(parts, { first, last }, moved, ms) {
  if (moved === "from") {
    const next = parts.findIndex(({ from_ms }) => from_ms >= ms);
    return { first: Math.min(next < 0 ? last : next, last), last };
  }
  const before = parts.findLastIndex(({ to_ms }) => to_ms <= ms);
  return { first, last: Math.max(before, first) };
}

/**
 * Returns the terms that give these recordings, in the order of their time, with their sound or
 * without, and what is ticked of the owner.
 * @param {Asked} asked @param {Chosen[]} chosen
 * @param {{withSound: boolean, identity?: IdentityGiven}} choice
 * @returns {GrantTerms}
 */
export function grantTerms({ digest, agency }, chosen, { withSound, identity = NO_IDENTITY }) {
  const inOrder = chosen.toSorted((a, b) => a.span.from_ms - b.span.from_ms);
  return {
    kind: "grant",
    request_digest: digest,
    clips: inOrder.map(({ clip, span }) => ({
      clip_id: clip.body.clip_id,
      manifest_digest: clip.body.manifest_digest,
      from_ms: span.from_ms,
      to_ms: span.to_ms,
    })),
    has_audio: withSound,
    identity: { ...identity },
    recipient: { agency: agency.id, sealing_keys: [...agency.sealing_keys] },
  };
}
