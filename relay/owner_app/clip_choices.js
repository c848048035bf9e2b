/**
 * What owners decided of single recordings, by their doorbells' sealed notes: which are deleted, and
 * until when that can be undone; which are kept, and by whom. No page here.
 * @module
 */

/** @typedef {import("./household.js").Household} Household */
/** @typedef {import("./vendor/protocol/documents.js").ClipsDecided} ClipsDecided */
/** @typedef {{by: string, until_ms: number}} Deleted `until_ms` is 0 if it can't be undone */
/** @typedef {{deleted?: Deleted, keptBy: string[]}} Choice */

/** @type {WeakMap<Household, {at: number, choices: ClipChoices}>} */
const made = new WeakMap();
/** @type {Choice} */
const NONE = { keptBy: [] };

export class ClipChoices {
  /** @param {Iterable<import("./household.js").OpenedNote>} notes in any order */
  constructor(notes) {
    /** @type {Map<string, Choice>} */
    this.known = new Map();
    const inOrder = [...notes].sort((a, b) => a.time_ms - b.time_ms);
    for (const { note } of inOrder) {
      if (note.body.type === "clips_decided") this.#take(note.device, note.body);
    }
  }

  /** @param {string} device @param {string} clipId @returns {Choice} */
  of(device, clipId) {
    return this.known.size === 0 ? NONE : (this.known.get(`${device}/${clipId}`) ?? NONE);
  }

  /** Whether nobody is to be shown it. @param {string} device @param {string} clipId */
  isGone(device, clipId) {
    return this.of(device, clipId).deleted !== undefined;
  }

  /** Whether anything can be undone now. @param {number} nowMs */
  hasUndo(nowMs) {
    return [...this.known.values()].some(({ deleted }) => deleted !== undefined && deleted.until_ms > nowMs);
  }

  /** What may be shown of a history: nothing whose recording is deleted. @template {{clip: import("./event_groups.js").ReportedEvent | undefined}} T @param {T[]} groups */
  shown(groups) {
    return groups.filter(({ clip }) => {
      const body = clip?.event.body;
      return clip === undefined || body?.type !== "clip_ready" || !this.isGone(clip.event.device, body.clip_id);
    });
  }

  /** @param {string} device @param {ClipsDecided} decided */
  #take(device, { what, by_name, clips, until_ms }) {
    for (const clip of clips) {
      const before = this.of(device, clip);
      const others = before.keptBy.filter((name) => name !== by_name);
      /** @type {Record<ClipsDecided["what"], Choice>} */
      const now = {
        deleted: { deleted: { by: by_name, until_ms: until_ms ?? 0 }, keptBy: [] },
        erased: { deleted: { by: by_name, until_ms: 0 }, keptBy: [] },
        restored: { keptBy: [] },
        kept: { ...before, keptBy: [...others, by_name] },
        let_go: { ...before, keptBy: others },
      };
      this.known.set(`${device}/${clip}`, now[what]);
    }
  }
}

/** Returns what is decided now, as far as this browser was told. @param {Household} household */
export function choicesOf(household) {
  const known = made.get(household);
  if (known?.at === household.revision) return known.choices;
  const choices = new ClipChoices(household.notes.values());
  made.set(household, { at: household.revision, choices });
  return choices;
}
