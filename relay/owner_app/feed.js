/**
 * The client of the neighbours' feed. Everything that the relay answers is parsed here, once.
 *
 * The relay knows a member's district and nothing finer: what is near somebody's door is worked out
 * in this browser, from posts that are the same for all of a district.
 * @module
 */
import { Unreachable } from "./api.js";
import { feedKey } from "./feed_place.js";
import { nowMs } from "./town_time.js";
import { readKey, writeKey } from "./vendor/browser/key_store.js";
import { ID_PATTERN, LAST_MS, WireError } from "./vendor/protocol/encoding.js";
import { withoutMisleading } from "./vendor/protocol/plain_text.js";

/** @typedef {typeof KINDS[number]} Kind */
/** @typedef {typeof REASONS[number]} Reason */
/** @typedef {{id: string, name: string, cells: string[]}} District cells of H3 resolution 8 */
/** @typedef {{id: string, kind: Kind, cell: string, hour_ms: number, text: string, pictures: string[]}} Told what every post tells */
/** @typedef {Told & {published_ms: number, by: "neighbour" | "agency" | "relay", agency: string | null, request: string | null, is_urgent: boolean}} Post `request`: the id of a published one that it points to */
/** @typedef {Told & {state: typeof STATES[number], written_ms: number, reason: Reason | null, words: string, is_appealed: boolean, is_appeal_decided: boolean, appeal_until_ms: number | null}} OwnPost `words`: the moderator's own; `appeal_until_ms`: null where none is open */
/** @typedef {{id: string, kind: typeof LEGAL_KINDS[number], yielded: typeof YIELDS[number][], told_ms: number}} LegalNotice legal process about own posts, and what it can yield */
/** @typedef {{district: string, posts: Post[], hasMore: boolean, asOfMs: number}} Page `asOfMs`: when it was kept, if the relay can't be reached; else 0 */
/** @typedef {{kind: Kind, cell: string, hour_ms: number, text: string, pictures: string[]}} NewPost */

export const KINDS = /** @type {const} */ (["parcel_taken", "break_in", "vehicle", "fire", "hazard", "lost", "found", "utility", "official"]);
/** What neighbours write; the last one is for agencies and the relay. */
export const NEIGHBOURS_KINDS = KINDS.filter((kind) => kind !== "official");
export const MAX_TEXT_CHARS = 1000;
export const MIN_TEXT_CHARS = 20;
export const MAX_PICTURES = 4;
export const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
export const HOUR_MS = 3600 * 1000;
const REASONS = /** @type {const} */ ([
  "race_only",
  "named_person",
  "victim",
  "minor",
  "call_to_gather",
  "recognisable_person",
  "plate",
  "house_number",
  "name",
  "no_act",
  "advertising",
  "other",
]);
const STATES = /** @type {const} */ (["waiting", "published", "refused", "withdrawn"]);
const LEGAL_KINDS = /** @type {const} */ (["subpoena", "court_order", "search_warrant", "other"]);
const YIELDS = /** @type {const} */ (["nothing", "account_metadata", "posts"]);
const DISTRICT_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
const CELL_PATTERN = /^88[0-9a-f]{13}$/;
const MAX_NAME_CHARS = 120;
const MAX_DISTRICTS = 2000;
const MAX_POSTS = 200;

export class Feed {
  /** @param {import("./api.js").Relay} relay */
  constructor(relay) {
    this.relay = relay;
  }

  /** The whole town's, which anybody may keep: nobody learns which one is looked at. @returns {Promise<District[]>} */
  async districts() {
    const answer = await this.#known("districts", () => this.relay.get("feed/districts", { cache: "default" }));
    return list(fields(answer).districts, MAX_DISTRICTS).map(districtOf);
  }

  /** What the relay answers, or answered last if it can't be reached. @param {"districts" | "membership"} name @param {() => Promise<unknown>} ask */
  async #known(name, ask) {
    const key = feedKey(name, this.relay.base);
    try {
      const answer = await ask();
      writeKey(key, answer).catch((error) => console.warn("an answer isn't kept", error));
      return answer;
    } catch (error) {
      const kept = error instanceof Unreachable ? await readKey(key) : undefined;
      if (kept === undefined) throw error;
      return kept;
    }
  }

  /** Which district this account chose; null: none. @returns {Promise<string | null>} */
  async membership() {
    const { district } = fields(await this.#known("membership", () => this.relay.get("feed/membership")));
    return district === null ? null : matching(district, DISTRICT_PATTERN);
  }

  /** Chooses a district, or leaves. @param {string | null} district */
  async join(district) {
    await this.relay.put("feed/membership", { district });
  }

  /**
   * The newest posts of a district, or those published before `before` (by its id).
   * @param {string} district @param {string} [before] @returns {Promise<Page>}
   */
  async posts(district, before = "") {
    const query = new URLSearchParams({ district, ...(before && { before }) });
    const answer = await this.relay.get(`feed/posts?${query}`);
    const page = pageOf(answer, district);
    if (before === "") {
      writeKey(feedKey("posts", this.relay.base), { as_of_ms: nowMs(), district, answer }).catch((error) => console.warn("the posts aren't kept", error));
    }
    return page;
  }

  /** The newest posts, or those that were fetched last if the relay can't be reached. @param {string} district @returns {Promise<Page>} */
  async knownPosts(district) {
    try {
      return await this.posts(district);
    } catch (error) {
      /** @type {{as_of_ms: number, district: string, answer: unknown} | undefined} */
      const kept = error instanceof Unreachable ? await readKey(feedKey("posts", this.relay.base)) : undefined;
      if (kept === undefined || kept.district !== district) throw error;
      return { ...pageOf(kept.answer, district), hasMore: false, asOfMs: kept.as_of_ms };
    }
  }

  /** Hands a post in; a moderator reads it before anybody else. @param {NewPost} post */
  async send(post) {
    const { id } = fields(await this.relay.post("feed/posts", post));
    return matching(id, ID_PATTERN);
  }

  /** Own posts and legal process about them, the newest first. @returns {Promise<{posts: OwnPost[], notices: LegalNotice[]}>} */
  async mine() {
    const { posts, legal } = fields(await this.relay.get("feed/mine"));
    return { posts: list(posts, MAX_POSTS).map(ownPostOf), notices: list(legal, MAX_POSTS).map(legalNoticeOf) };
  }

  /** All that the relay keeps of this account here, and its pictures' ids. @returns {Promise<{told: Record<string, unknown>, pictures: string[]}>} */
  async exported() {
    const told = fields(await this.relay.get("feed/export"));
    return { told, pictures: list(told.posts, MAX_POSTS).flatMap((one) => toldOf(one).pictures) };
  }

  /** @param {string} id */
  async withdraw(id) {
    await this.relay.delete(`feed/posts/${id}`);
  }

  /** Asks for another moderator; once. @param {string} id @param {string} text */
  async appeal(id, text) {
    await this.relay.post(`feed/posts/${id}/appeal`, { text });
  }

  /** Uploads a painted picture; returns its id. @param {Blob} jpeg */
  async upload(jpeg) {
    const { id } = fields(await this.relay.post("feed/pictures", jpeg));
    return matching(id, ID_PATTERN);
  }

  /** @param {string} id @returns {Promise<Blob>} */
  async picture(id) {
    const found = await this.relay.get(`feed/pictures/${id}`, { cache: "default" });
    if (!(found instanceof Blob) || found.type !== "image/jpeg") throw wrong();
    return found;
  }
}

/** The pictures of a page's posts: each fetched once, and let go when the reader leaves. */
export class FeedPictures {
  /** @param {Feed} feed @param {AbortSignal} left */
  constructor(feed, left) {
    this.feed = feed;
    /** @type {Map<string, Promise<string>>} */
    this.urls = new Map();
    left.addEventListener("abort", () => {
      for (const url of this.urls.values()) url.then((known) => URL.revokeObjectURL(known)).catch(() => {});
    });
  }

  /** @param {string} id @returns {Promise<string>} */
  url(id) {
    const known = this.urls.get(id);
    if (known !== undefined) return known;
    const coming = this.feed.picture(id).then((blob) => URL.createObjectURL(blob));
    coming.catch(() => this.urls.delete(id)); // it may come another time
    this.urls.set(id, coming);
    return coming;
  }
}

/** @param {unknown} answer @param {string} district @returns {Page} */
function pageOf(answer, district) {
  const { posts, more } = fields(answer);
  /** @type {Post[]} */
  const known = [];
  for (const one of list(posts, MAX_POSTS)) {
    // A relay of a later version may have kinds that this app has no words for.
    if (KINDS.includes(/** @type {Kind} */ (fields(one).kind))) known.push(postOf(one));
  }
  return { district, posts: known, hasMore: truth(more), asOfMs: 0 };
}

/** @param {unknown} value @returns {Post} */
export function postOf(value) {
  const { published_ms, by, agency, refers, is_urgent } = fields(value);
  const request = refers === null || refers === undefined ? undefined : fields(refers).request;
  return {
    ...toldOf(value),
    published_ms: moment(published_ms),
    by: oneOf(by, /** @type {const} */ (["neighbour", "agency", "relay"])),
    agency: agency === null || agency === undefined ? null : line(agency),
    request: request === undefined ? null : matching(request, ID_PATTERN),
    is_urgent: truth(is_urgent),
  };
}

/** @param {unknown} value @returns {OwnPost} */
export function ownPostOf(value) {
  const { state, written_ms, reason, words, is_appealed, is_appeal_decided, appeal_until_ms } = fields(value);
  return {
    ...toldOf(value),
    state: oneOf(state, STATES),
    written_ms: moment(written_ms),
    reason: reason === null ? null : oneOf(reason, REASONS),
    words: prose(words),
    is_appealed: truth(is_appealed),
    is_appeal_decided: truth(is_appeal_decided),
    appeal_until_ms: appeal_until_ms === null ? null : moment(appeal_until_ms),
  };
}

/** @param {unknown} value @returns {LegalNotice} */
function legalNoticeOf(value) {
  const { id, kind, yielded, told_ms } = fields(value);
  return {
    id: matching(id, ID_PATTERN),
    kind: oneOf(kind, LEGAL_KINDS),
    yielded: list(yielded, YIELDS.length).map((one) => oneOf(one, YIELDS)),
    told_ms: moment(told_ms),
  };
}

/** @param {unknown} value @returns {Told} */
function toldOf(value) {
  const { id, kind, cell, hour_ms, text, pictures } = fields(value);
  return {
    id: matching(id, ID_PATTERN),
    kind: oneOf(kind, KINDS),
    cell: matching(cell, CELL_PATTERN),
    hour_ms: moment(hour_ms),
    text: prose(text),
    pictures: list(pictures, MAX_PICTURES).map((one) => matching(one, ID_PATTERN)),
  };
}

/** @param {unknown} value @returns {District} */
function districtOf(value) {
  const { id, name, cells } = fields(value);
  return { id: matching(id, DISTRICT_PATTERN), name: line(name), cells: list(cells, MAX_DISTRICTS).map((one) => matching(one, CELL_PATTERN)) };
}

function wrong() {
  return new WireError("the relay's answer about neighbours");
}

/** @param {unknown} value @returns {Record<string, unknown>} */
function fields(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrong();
  return /** @type {Record<string, unknown>} */ (value);
}

/** @param {unknown} value @param {number} most @returns {unknown[]} */
function list(value, most) {
  if (!Array.isArray(value) || value.length > most) throw wrong();
  return value;
}

/** @param {unknown} value @param {RegExp} pattern */
function matching(value, pattern) {
  if (typeof value !== "string" || !pattern.test(value)) throw wrong();
  return value;
}

/** @template {string} T @param {unknown} value @param {readonly T[]} known @returns {T} */
function oneOf(value, known) {
  if (!known.includes(/** @type {T} */ (value))) throw wrong();
  return /** @type {T} */ (value);
}

/** @param {unknown} value */
function line(value) {
  if (typeof value !== "string" || value === "" || value.length > MAX_NAME_CHARS || value.includes("\n")) throw wrong();
  return withoutMisleading(value);
}

/** @param {unknown} value */
function prose(value) {
  if (typeof value !== "string" || value.length > 2 * MAX_TEXT_CHARS) throw wrong();
  return withoutMisleading(value);
}

/** @param {unknown} value */
function moment(value) {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > LAST_MS) throw wrong();
  return value;
}

/** @param {unknown} value */
function truth(value) {
  if (typeof value !== "boolean") throw wrong();
  return value;
}
