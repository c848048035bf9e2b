/**
 * SHA-256 over bytes that come piece by piece (FIPS 180-4). WebCrypto takes only what is whole.
 *
 * What is small is kept and given to WebCrypto at the end, which is many times faster; from
 * `KEPT_BYTES` on it is computed here, so that memory doesn't grow with what is hashed.
 * @module
 */
import { hex, join, sha256 } from "./encoding.js";

const KEPT_BYTES = 1024 * 1024;
const BLOCK_BYTES = 64;
const PIECE_BYTES = 1024 * 1024;
/** The first 32 bits of the fractions of the cube roots of the first 64 primes (4.2.2). */
const K = Uint32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));
/** And of the square roots of the first eight (5.3.3). */
const BEGIN = Uint32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));

/** A digest that is fed piece by piece. */
export class Sha256 {
  constructor() {
    /** @type {Uint8Array[]} */
    this.kept = [];
    this.size = 0;
    /** @type {Blocks | null} */
    this.blocks = null;
  }

  /** Takes the next bytes; what is kept of them is a copy. @param {Uint8Array} data */
  update(data) {
    this.size += data.length;
    if (this.blocks === null && this.size <= KEPT_BYTES) return void this.kept.push(data.slice());
    this.blocks ??= new Blocks();
    for (const kept of this.kept.splice(0)) this.blocks.update(kept);
    this.blocks.update(data);
  }

  /** Returns the digest in hexadecimal. @returns {Promise<string>} */
  async hex() {
    return hex(this.blocks === null ? await sha256(join(...this.kept)) : this.blocks.finish());
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

/** The hash computation itself (6.2.2). */
class Blocks {
  constructor() {
    this.state = BEGIN.slice();
    this.words = new Uint32Array(64);
    this.rest = new Uint8Array(BLOCK_BYTES);
    this.restBytes = 0;
    this.size = 0;
  }

  /** @param {Uint8Array} data */
  update(data) {
    this.size += data.length;
    let at = 0;
    if (this.restBytes > 0) {
      at = Math.min(BLOCK_BYTES - this.restBytes, data.length);
      this.rest.set(data.subarray(0, at), this.restBytes);
      this.restBytes += at;
      if (this.restBytes < BLOCK_BYTES) return;
      this.#block(this.rest, 0);
    }
    for (; at + BLOCK_BYTES <= data.length; at += BLOCK_BYTES) this.#block(data, at);
    this.rest.set(data.subarray(at));
    this.restBytes = data.length - at;
  }

  finish() {
    const bits = BigInt(this.size) * 8n;
    const padding = new Uint8Array(((this.restBytes < 56 ? 56 : 120) - this.restBytes) + 8);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, bits);
    this.update(padding);
    const digest = new DataView(new ArrayBuffer(32));
    this.state.forEach((word, place) => digest.setUint32(4 * place, word));
    return new Uint8Array(digest.buffer);
  }

  /** @param {Uint8Array} data @param {number} at */
  #block(data, at) {
    const { words: w, state } = this;
    for (let i = 0; i < 16; i += 1, at += 4) {
      w[i] = (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
      const [x, y] = [w[i - 15], w[i - 2]];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
}

/** @param {number} count @returns {number[]} */
function primes(count) {
  /** @type {number[]} */
  const found = [];
  for (let n = 2; found.length < count; n += 1) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** @param {number} root */
function fraction(root) {
  return Math.floor((root % 1) * 2 ** 32);
}
