/**
 * An export as a sequence of ZIP files, for browsers that can't write into a folder. Unpacked into
 * one folder they are the same files. A part is kept in memory until it was saved; what was in one
 * that wasn't is fetched again. Nothing is compressed: recordings can't be.
 * @module
 */
import { LIST, READABLE, SUMS, listText, sumsText } from "./export_files.js";
import { sha256Hex, utf8 } from "./vendor/protocol/encoding.js";

/** @typedef {import("./export_files.js").ExportList} ExportList */
/** @typedef {import("./export_files.js").FileEntry} FileEntry */
/** @typedef {import("./export_folder.js").NewFile} NewFile */
/** @typedef {{path: string, blob: Blob, crc: number}} Packed */
/** @typedef {{number: number, name: string, blob: Blob}} ZipPart */

/** A part has at most this, unless one recording alone has more. */
export const PART_BYTES = 200 * 1000 * 1000;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
/** 1 January 1980, the first day that the format knows: the true times are in the list. */
const DOS_DATE = (0 << 9) | (1 << 5) | 1;
const UTF8_NAMES = 0x0800;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

export class ZipTarget {
  /**
   * @param {{base: string, saved: {files: FileEntry[], parts: number}, partBytes?: number}} what `saved` in earlier parts
   * @param {(part: ZipPart) => Promise<void>} onPart resolves once the part was saved
   * @param {(files: FileEntry[], parts: number) => Promise<void>} remember
   */
  constructor({ base, saved, partBytes = PART_BYTES }, onPart, remember) {
    this.base = base;
    this.partBytes = partBytes;
    this.onPart = onPart;
    this.remember = remember;
    this.parts = saved.parts;
    /** @type {Map<string, FileEntry>} */
    this.kept = new Map(saved.files.map((entry) => [entry.path, entry]));
    /** @type {Packed[]} */
    this.waiting = [];
    /** @type {FileEntry[]} */
    this.entries = [];
    this.bytes = 0;
  }

  async open() {}

  /** @param {string} path */
  async has(path) {
    return this.kept.has(path);
  }

  /** @param {NewFile[]} files that belong together @param {() => ExportList} [_list] it comes with the last part */
  async put(files, _list) {
    const size = files.reduce((sum, { blob }) => sum + blob.size, 0);
    if (this.waiting.length > 0 && this.bytes + size > this.partBytes) await this.#flush();
    for (const { path, blob } of files) {
      const data = new Uint8Array(await blob.arrayBuffer());
      this.waiting.push({ path, blob, crc: crc32(data) });
      this.entries.push({ path, size: blob.size, sha256: await sha256Hex(data) });
    }
    this.bytes += size;
  }

  /** @returns {FileEntry[]} */
  files() {
    const found = new Map(this.kept);
    for (const entry of this.entries) found.set(entry.path, entry);
    return [...found.values()];
  }

  async settle() {}

  async save() {}

  /** @param {ExportList} list @param {string} readable */
  async finish(list, readable) {
    const texts = { [SUMS]: sumsText(list), [READABLE]: readable, [LIST]: listText(list) };
    for (const [path, text] of Object.entries(texts)) {
      const blob = new Blob([text]);
      this.waiting.push({ path, blob, crc: crc32(utf8(text)) });
    }
    await this.#flush();
  }

  async #flush() {
    const number = this.parts + 1;
    await this.onPart({ number, name: `${this.base}-${String(number).padStart(3, "0")}.zip`, blob: zipOf(this.waiting) });
    this.parts = number;
    for (const entry of this.entries) this.kept.set(entry.path, entry);
    this.waiting = [];
    this.entries = [];
    this.bytes = 0;
    await this.remember([...this.kept.values()], this.parts);
  }
}

/** Returns a ZIP file (PKWARE APPNOTE 4.3) that only stores. @param {Packed[]} files less than 4 GiB in all */
export function zipOf(files) {
  /** @type {(Blob | Uint8Array<ArrayBuffer>)[]} */
  const body = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let at = 0;
  for (const file of files) {
    const name = utf8(file.path);
    body.push(record(0x04034b50, LOCAL_BYTES, name, file), file.blob);
    directory.push(record(0x02014b50, CENTRAL_BYTES, name, file, at));
    at += LOCAL_BYTES + name.length + file.blob.size;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = new DataView(new ArrayBuffer(END_BYTES));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, at, true);
  return new Blob([...body, ...directory, new Uint8Array(end.buffer)], { type: "application/zip" });
}

/** @param {number} mark @param {number} bytes @param {Uint8Array} name @param {Packed} file @param {number} [at] where its own header is */
function record(mark, bytes, name, { blob, crc }, at) {
  const data = new Uint8Array(bytes + name.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, mark, true);
  const common = at === undefined ? 4 : 6; // the directory says who made it, too
  if (at !== undefined) view.setUint16(4, 20, true);
  view.setUint16(common, 20, true);
  view.setUint16(common + 2, UTF8_NAMES, true);
  view.setUint16(common + 8, DOS_DATE, true);
  view.setUint32(common + 10, crc, true);
  view.setUint32(common + 14, blob.size, true);
  view.setUint32(common + 18, blob.size, true);
  view.setUint16(common + 22, name.length, true);
  if (at !== undefined) view.setUint32(42, at, true);
  data.set(name, bytes);
  return data;
}

/** @param {Uint8Array} data */
export function crc32(data) {
  let value = 0xffffffff;
  for (const byte of data) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
