/**
 * Which recordings a request asks for, and what an owner signs to give some of them. No page here.
 *
 * The times signed are those of a recording's newest telling: the doorbell's own, to the
 * millisecond, or it refuses (firmware/consent/verifier.py).
 * @module
 */

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./household.js").ClipEvent} ClipEvent */
/** @typedef {import("./vendor/protocol/documents.js").Agency} Agency */
/** @typedef {import("./vendor/protocol/documents.js").EvidenceRequest} EvidenceRequest */
/** @typedef {import("./vendor/protocol/documents.js").GrantTerms} GrantTerms */
/** @typedef {{request: EvidenceRequest, digest: string, agency: Agency, device: string | undefined}} Request */

/** One grant names at most so many (firmware/protocol/grants.py). */
export const MAX_CLIPS = 16;

/**
 * Returns what lies wholly in the asked time, oldest first, and how many reach over its edge.
 * @param {Household} household @param {Request} asked
 */
export function clipsAsked(household, { request, device }) {
  const own = household.clips.filter((clip) => clip.device === device);
  const begin = (/** @type {ClipEvent} */ clip) => household.startOf(clip);
  const end = (/** @type {ClipEvent} */ clip) => begin(clip) + clip.body.duration_ms;
  const touching = own.filter((clip) => begin(clip) < request.to_ms && end(clip) > request.from_ms);
  const inside = touching.filter((clip) => begin(clip) >= request.from_ms && end(clip) <= request.to_ms);
  return { inside: inside.reverse(), partly: touching.length - inside.length };
}

/**
 * Returns the terms that give these clips, in the order of their time, with their sound or without.
 * @param {Household} household @param {Request} asked @param {ClipEvent[]} clips
 * @param {{withSound: boolean}} choice
 * @returns {GrantTerms}
 */
export function grantTerms(household, { digest, agency }, clips, { withSound }) {
  const startOf = (/** @type {ClipEvent} */ clip) => household.startOf(clip);
  const inOrder = clips.toSorted((a, b) => startOf(a) - startOf(b));
  return {
    kind: "grant",
    request_digest: digest,
    clips: inOrder.map((clip) => ({
      clip_id: clip.body.clip_id,
      manifest_digest: clip.body.manifest_digest,
      from_ms: startOf(clip),
      to_ms: startOf(clip) + clip.body.duration_ms,
    })),
    has_audio: withSound,
    recipient: { agency: agency.id, sealing_keys: agency.sealing_keys },
  };
}
