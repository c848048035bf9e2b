/**
 * A long list of days: rows are made when they come near the screen, and let go when they are far
 * from it, so that ten thousand cost as much as a hundred.
 *
 * A day's rows stand in chunks. An empty chunk is as high as it was, or as others are, so that the
 * page doesn't move.
 * @module
 */
import { fill, h } from "../dom.js";

/**
 * @template E
 * @typedef {{start: number, end: number, entries: E[]}} Day newest entry first
 */
/**
 * @template E
 * @typedef {{entries: E[], node: HTMLElement, isFilled: boolean, height: number}} Chunk
 */
/**
 * @template E
 * @typedef {{nodes: Node[], show: (day: Day<E>) => void}} Head a day's, which can show the day as it has become
 */
/**
 * @template E
 * @typedef {{mark: string, node: HTMLElement, head: Head<E>, chunks: Chunk<E>[]}} Section
 */
/**
 * @template E
 * @typedef {{head: (day: Day<E>) => Head<E>, row: (entry: E) => HTMLElement, mark: (entry: E) => string}} Drawing `mark` changes whenever a row would
 */

const CHUNK = 12;
/** What is that close to the screen is drawn. */
const MARGIN = "1000px 0px";
/** Until the first was seen. */
const ROW_PX = 80;

/** @template E what a row shows */
export class DayList {
  /** @param {Drawing<E>} drawing @param {AbortSignal} left */
  constructor(drawing, left) {
    this.drawing = drawing;
    this.node = h("div", { id: "days" });
    /** @type {Map<number, Section<E>>} by the day's start */
    this.sections = new Map();
    /** @type {WeakMap<Element, Chunk<E>>} */
    this.chunks = new WeakMap();
    this.rowPx = ROW_PX;
    this.observer = new IntersectionObserver((seen) => seen.forEach((one) => this.#seen(one)), { rootMargin: MARGIN });
    left.addEventListener("abort", () => this.observer.disconnect());
  }

  /** Shows these days; what is the same stays. @param {Day<E>[]} days newest first */
  update(days) {
    const starts = new Set(days.map(({ start }) => start));
    for (const [start, section] of this.sections) if (!starts.has(start)) this.#drop(start, section);
    days.forEach((day, place) => {
      const mark = day.entries.map(this.drawing.mark).join(" ");
      const known = this.sections.get(day.start);
      if (known?.mark === mark) return;
      const chunks = this.#chunksOf(day, known);
      if (known === undefined) {
        const head = this.drawing.head(day);
        const node = h("section", { class: "day", "data-day": day.start }, h("header", {}, head.nodes), chunks.map(({ node }) => node));
        this.sections.set(day.start, { mark, node, head, chunks });
        this.node.insertBefore(node, this.node.children[place] ?? null);
        return;
      }
      // The head's line may be under a finger: it stays.
      known.head.show(day);
      known.node.append(...chunks.map(({ node }) => node));
      for (const { node } of known.chunks) {
        this.observer.unobserve(node);
        node.remove();
      }
      Object.assign(known, { mark, chunks });
    });
  }

  /** Brings an entry's row to the screen, and returns it. @param {E} entry @returns {HTMLElement | null} */
  show(entry) {
    for (const { chunks } of this.sections.values()) {
      const chunk = chunks.find(({ entries }) => entries.includes(entry));
      if (chunk === undefined) continue;
      this.#fill(chunk);
      const row = /** @type {HTMLElement} */ (chunk.node.children[chunk.entries.indexOf(entry)]);
      row.scrollIntoView({ block: "start" });
      return row;
    }
    return null;
  }

  /** Finds an entry. @param {(entry: E) => boolean} isWanted @returns {E | undefined} */
  find(isWanted) {
    for (const { chunks } of this.sections.values()) {
      for (const { entries } of chunks) {
        const found = entries.find(isWanted);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  /** @param {Day<E>} day @param {Section<E> | undefined} before @returns {Chunk<E>[]} */
  #chunksOf(day, before) {
    /** @type {Chunk<E>[]} */
    const chunks = [];
    for (let at = 0; at < day.entries.length; at += CHUNK) {
      const entries = day.entries.slice(at, at + CHUNK);
      const node = h("ul", { class: "rows" });
      const chunk = { entries, node, isFilled: false, height: 0 };
      this.chunks.set(node, chunk);
      chunks.push(chunk);
      // What was on the screen mustn't be gone for a moment.
      if (before?.chunks[chunks.length - 1]?.isFilled) this.#fill(chunk);
      else this.#empty(chunk);
      this.observer.observe(node);
    }
    return chunks;
  }

  /** @param {number} start @param {Section<E>} section */
  #drop(start, { node, chunks }) {
    chunks.forEach((chunk) => this.observer.unobserve(chunk.node));
    node.remove();
    this.sections.delete(start);
  }

  /** @param {IntersectionObserverEntry} seen */
  #seen({ isIntersecting, target, boundingClientRect }) {
    const chunk = this.chunks.get(target);
    if (chunk === undefined) return;
    if (isIntersecting) return this.#fill(chunk);
    if (!chunk.isFilled || chunk.node.contains(document.activeElement)) return;
    chunk.height = boundingClientRect.height;
    this.rowPx = chunk.height / chunk.entries.length;
    this.#empty(chunk);
  }

  /** @param {Chunk<E>} chunk */
  #fill(chunk) {
    if (chunk.isFilled) return;
    chunk.isFilled = true;
    chunk.node.style.height = "";
    fill(chunk.node, chunk.entries.map(this.drawing.row));
  }

  /** @param {Chunk<E>} chunk */
  #empty(chunk) {
    chunk.isFilled = false;
    fill(chunk.node);
    chunk.node.style.height = `${chunk.height || chunk.entries.length * this.rowPx}px`;
  }
}
