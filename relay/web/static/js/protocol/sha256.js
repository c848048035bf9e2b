/**
 * SHA-256 over bytes that come piece by piece. WebCrypto takes only what is whole.
 *
 * What is small is kept and given to WebCrypto at the end, which is many times faster; from
 * `KEPT_BYTES` on noble-hashes computes it, so that memory doesn't grow with what is hashed.
 * @module
 */
import { sha256 as streamed } from "../../vendor/noble/sha2.js";
import { hex, join, sha256 } from "./encoding.js";

const KEPT_BYTES = 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/** A digest that is fed piece by piece. */
export class Sha256 {
  constructor() {
    /** @type {Uint8Array[]} */
    this.kept = [];
    this.size = 0;
    /** @type {ReturnType<typeof streamed.create> | null} */
    this.stream = null;
  }

  /** Takes the next bytes; what is kept of them is a copy. @param {Uint8Array} data */
  update(data) {
    this.size += data.length;
    if (this.stream === null && this.size <= KEPT_BYTES) return void this.kept.push(data.slice());
    this.stream ??= streamed.create();
    for (const kept of this.kept.splice(0)) this.stream.update(kept);
    this.stream.update(data);
  }

  /** Returns the digest in hexadecimal. @returns {Promise<string>} */
  async hex() {
    return hex(this.stream === null ? await sha256(join(...this.kept)) : this.stream.digest());
  }
}

/** Returns SHA-256 over a file in hexadecimal; it is read piece by piece. @param {Blob} blob @returns {Promise<string>} */
export async function sha256OfBlob(blob) {
  const digest = new Sha256();
  for (let begin = 0; begin < blob.size; begin += PIECE_BYTES) {
    digest.update(new Uint8Array(await blob.slice(begin, begin + PIECE_BYTES).arrayBuffer()));
  }
  return digest.hex();
}
