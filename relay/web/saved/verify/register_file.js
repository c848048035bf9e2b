/**
 * The whole register in one file, `register.tlog`, as firmware/protocol/register/register_file.py
 * has it. It is read a piece at a time, twice: for its form, and to replay it.
 *
 * It proves nothing by itself: its entries must lead to the checkpoint that the evidence names.
 * @module
 */
import { WireError, hex, join, sha256, text, utf8 } from "../../static/js/protocol/encoding.js";
import { must } from "./document_reader.js";
import { Register } from "./register.js";
import { leafHash } from "./tlog.js";

/** @typedef {import("../../static/js/protocol/encoding.js").Bytes} Bytes */
/** @typedef {import("./tlog.js").Checkpoint} Checkpoint */

export const REGISTER_FILE = "register.tlog";
const HEADER = utf8("doorward/register-file/v1\n");
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_ENTRY_BYTES = 65_535;
const PIECE_BYTES = 1024 * 1024;
const LENGTH_BYTES = 4;
/** The page is told after so many entries how far the replay is. */
const TOLD_EACH = 1000;

/** The entries of a register from the first on, as a file has them. */
export class WholeRegister {
  /** @param {Blob} file @param {number} size how many entries it has */
  constructor(file, size) {
    this.file = file;
    this.size = size;
    /** @type {(done: number, all: number) => void} */
    this.onProgress = () => {};
  }

  /** The register after the entries of a checkpoint, and which of them are void. @param {Checkpoint} checkpoint @param {string | null} charter */
  async replayed({ origin, size, root }, charter) {
    must(this.size >= size, "{name} has {count} entries, and the evidence's register had {size}: save it anew", { name: REGISTER_FILE, count: this.size, size });
    const [edge, register] = [new Frontier(), new Register(origin, charter)];
    /** @type {Map<number, WireError>} */
    const voids = new Map();
    let index = 0;
    for await (const entry of entriesOf(this.file)) {
      if (index === size) break;
      if (index % TOLD_EACH === 0) this.onProgress(index, size);
      await edge.append(await leafHash(entry));
      register.skipTo(index);
      const why = await whyVoid(register, entry);
      if (why !== null) voids.set(index, why);
      index += 1;
    }
    must(hex(await edge.root()) === hex(root), "{name} is of another log than the evidence's register", { name: REGISTER_FILE });
    return { register, voids };
  }
}

/** Checks the form of the file; the entries are looked at when they are replayed. @param {Blob} file */
export async function readRegister(file) {
  must(file.size <= MAX_BYTES, "{name} has more than {most} bytes", { name: REGISTER_FILE, most: MAX_BYTES });
  let size = 0;
  for await (const _ of entriesOf(file)) size += 1;
  return new WholeRegister(file, size);
}

/** Applies an entry; returns why it has no effect, or null. @param {Register} register @param {Bytes} entry */
async function whyVoid(register, entry) {
  try {
    await register.apply(text(entry));
    return null;
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

/** @param {Blob} file @returns {AsyncGenerator<Bytes>} */
async function* entriesOf(file) {
  const pieces = new Pieces(file);
  const header = await pieces.take(HEADER.length);
  must(header !== null && hex(header) === hex(HEADER), "{name} doesn't begin as version 1 of a saved register does", { name: REGISTER_FILE });
  const count = await pieces.number();
  for (let index = 0; index < count; index += 1) {
    const size = await pieces.number();
    must(size <= MAX_ENTRY_BYTES, "entry {index} of {name} is larger than an entry may be", { name: REGISTER_FILE, index });
    const entry = await pieces.take(size);
    if (entry === null) throw new WireError("{name} is cut off in entry {index}", { name: REGISTER_FILE, index });
    yield entry;
  }
  must(pieces.isAtEnd, "{name} goes on after its last entry", { name: REGISTER_FILE });
}

/** A file that is read a piece at a time. */
class Pieces {
  /** @param {Blob} file */
  constructor(file) {
    this.file = file;
    /** Where in the file the piece begins. */
    this.begin = 0;
    this.piece = new Uint8Array();
    /** Where in the piece the next bytes are. */
    this.at = 0;
  }

  get isAtEnd() {
    return this.begin + this.at === this.file.size;
  }

  /** The next bytes, of which there are never more than a piece; null where the file ends before. @param {number} size @returns {Promise<Bytes | null>} */
  async take(size) {
    if (this.begin + this.at + size > this.file.size) return null;
    if (this.at + size > this.piece.length) {
      this.begin += this.at;
      this.at = 0;
      this.piece = new Uint8Array(await this.file.slice(this.begin, this.begin + PIECE_BYTES).arrayBuffer());
      must(this.piece.length >= size, "{name} was changed while it was read", { name: REGISTER_FILE });
    }
    this.at += size;
    return this.piece.slice(this.at - size, this.at);
  }

  /** @returns {Promise<number>} */
  async number() {
    const bytes = await this.take(LENGTH_BYTES);
    if (bytes === null) throw new WireError("{name} is cut off", { name: REGISTER_FILE });
    return new DataView(bytes.buffer).getUint32(0);
  }
}

/** The right edge of a Merkle tree (RFC 6962, 2.1), for whoever only follows. */
class Frontier {
  constructor() {
    /** The complete subtrees, by their height. @type {(Uint8Array | null)[]} */
    this.edge = [];
  }

  /** @param {Uint8Array} leaf */
  async append(leaf) {
    let node = leaf;
    let height = 0;
    for (let left = this.edge[0] ?? null; left !== null; left = this.edge[height] ?? null) {
      node = await nodeHash(left, node);
      this.edge[height] = null;
      height += 1;
    }
    this.edge[height] = node;
  }

  /** @returns {Promise<Uint8Array>} */
  async root() {
    /** @type {Uint8Array | null} */
    let root = null;
    for (const left of this.edge) if (left !== null) root = root === null ? left : await nodeHash(left, root);
    return root ?? sha256(new Uint8Array());
  }
}

/** @param {Uint8Array} left @param {Uint8Array} right */
function nodeHash(left, right) {
  return sha256(join(Uint8Array.of(1), left, right));
}
