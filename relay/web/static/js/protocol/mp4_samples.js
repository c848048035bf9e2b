/**
 * The sample table of one MP4 track, checked before it is used, as in
 * firmware/protocol/media/sample_table.py.
 *
 * A table is small and may claim anything, so every count is held against the bytes that are there
 * before anything is allocated, and the samples against the file: each is of bounded size, and
 * together they aren't larger than the file. That they rise without overlap is for Mp4, which has
 * both tracks.
 * @module
 */
import { WireError } from "./encoding.js";
import { children, first, fullBoxVersion, only, uint32At } from "./mp4_boxes.js";

/** @typedef {import("./mp4_boxes.js").Box} Box */

/** Samples of one track; ten minutes at 60 pictures a second are 36,000. */
const MAX_SAMPLES = 100_000;
/** One picture; the largest that a doorbell's encoder makes is below one MiB. */
const MAX_SAMPLE_BYTES = 16 * 1024 * 1024;

/** Where the samples of one track lie, and when they begin. */
export class SampleTable {
  /** @param {DataView} view @param {Box} stbl @param {number} fileBytes */
  constructor(view, stbl, fileBytes) {
    const boxes = children(view, stbl);
    if (first(boxes, "ctts") !== undefined) throw new WireError("the clip's pictures aren't in presentation order");
    this.view = view;
    this.stsz = only(boxes, "stsz");
    fullBoxVersion(view, this.stsz, 0);
    this.sameBytes = uint32At(view, this.stsz, 4);
    this.count = uint32At(view, this.stsz, 8);
    this.#checkSizes(fileBytes);
    this.stts = table(view, only(boxes, "stts"), 8);
    let timed = 0;
    for (const { length } of this.#runsOfTimes()) timed += length;
    if (timed !== this.count) throw new WireError("the clip's times don't add up");
    this.stsc = table(view, only(boxes, "stsc"), 12);
    const [short, long] = [first(boxes, "stco"), first(boxes, "co64")];
    if (short !== undefined && long !== undefined) throw new WireError("the clip has two tables of its chunks"); // players may take either
    this.isLong = short === undefined;
    this.chunkTable = table(view, short ?? only(boxes, "co64"), this.isLong ? 8 : 4);
    let count = 0;
    for (const chunk of this.#chunksWithCounts()) count += chunk.count;
    if (count !== this.count) throw new WireError("the clip's sample table doesn't add up");
  }

  /** Where each sample begins in the file, its size, and its time in the track's timescale. */
  *samples() {
    const times = this.#times();
    let place = 0;
    for (const { begin, count } of this.#chunksWithCounts()) {
      let position = begin;
      for (let i = 0; i < count; i += 1) {
        const size_bytes = this.#sizeOf(place);
        yield { begin: position, size_bytes, dts: Number(times.next().value) };
        position += size_bytes;
        place += 1;
      }
    }
  }

  /** Where each chunk begins and ends in the file. */
  *chunks() {
    let place = 0;
    for (const { begin, count } of this.#chunksWithCounts()) {
      let end = begin;
      for (let i = 0; i < count; i += 1) end += this.#sizeOf(place + i);
      place += count;
      yield { begin, end };
    }
  }

  /** @param {number} fileBytes */
  #checkSizes(fileBytes) {
    const { count, sameBytes, stsz } = this;
    if (count === 0) throw new WireError("a track of the clip is empty");
    if (count > MAX_SAMPLES) {
      throw new WireError("the clip has more than {most} pictures or units of sound", { most: MAX_SAMPLES });
    }
    if (stsz.end - stsz.begin !== 12 + (sameBytes > 0 ? 0 : 4 * count)) {
      throw new WireError("the clip's {type} box doesn't hold as many entries as it says", { type: "stsz" });
    }
    let total = 0;
    for (let place = 0; place < count; place += 1) {
      const size = this.#sizeOf(place);
      if (size === 0) throw new WireError("a sample of the clip is empty");
      if (size > MAX_SAMPLE_BYTES) {
        throw new WireError("a sample of the clip is larger than {most} bytes", { most: MAX_SAMPLE_BYTES });
      }
      total += size;
    }
    if (total > fileBytes) throw new WireError("the clip's samples are larger than its file");
  }

  /** @param {number} place */
  #sizeOf(place) {
    return this.sameBytes || this.view.getUint32(this.stsz.begin + 12 + 4 * place);
  }

  *#chunksWithCounts() {
    const { view, stsc, chunkTable, isLong } = this;
    const runAt = (/** @type {number} */ run) => stsc.begin + 12 * run;
    if (stsc.count === 0 || view.getUint32(runAt(0)) !== 1) {
      throw new WireError("the clip's sample table doesn't begin with its first chunk");
    }
    let run = 0;
    for (let number = 1; number <= chunkTable.count; number += 1) {
      if (run + 1 < stsc.count && view.getUint32(runAt(run + 1)) === number) run += 1;
      const count = view.getUint32(runAt(run) + 4);
      if (count === 0) throw new WireError("a chunk of the clip is empty");
      const at = chunkTable.begin + (isLong ? 8 : 4) * (number - 1);
      yield { begin: isLong ? Number(view.getBigUint64(at)) : view.getUint32(at), count };
    }
    if (run + 1 < stsc.count) throw new WireError("the clip's sample table names chunks that aren't there");
  }

  *#runsOfTimes() {
    for (let run = 0; run < this.stts.count; run += 1) {
      const length = this.view.getUint32(this.stts.begin + 8 * run);
      yield { length, duration: this.view.getUint32(this.stts.begin + 8 * run + 4) };
    }
  }

  *#times() {
    let time = 0;
    for (const { length, duration } of this.#runsOfTimes()) {
      for (let i = 0; i < length; i += 1, time += duration) yield time;
    }
  }
}

/** Returns where a table's entries begin, of which there are exactly as many as it says. @param {DataView} view @param {Box} box @param {number} entryBytes */
function table(view, box, entryBytes) {
  fullBoxVersion(view, box, 0);
  const count = uint32At(view, box, 4);
  if (count > MAX_SAMPLES || box.end - box.begin !== 8 + count * entryBytes) {
    throw new WireError("the clip's {type} box doesn't hold as many entries as it says", { type: box.type });
  }
  return { begin: box.begin + 8, count };
}
