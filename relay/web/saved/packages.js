/**
 * Opening a sealed evidence package, as in firmware/protocol/packages.py.
 * @module
 */
import {
  WireError,
  b64u,
  join,
  parse,
  parseCanonical,
  sha256,
  text,
  unb64u,
  unhex,
  utf8,
} from "../static/js/protocol/encoding.js";
import { sha256OfBlob } from "../static/js/protocol/sha256.js";
import { importSealingPair, openSealed } from "../static/js/protocol/sealing.js";

/** @typedef {import("../static/js/protocol/encoding.js").Bytes} Bytes */
/** @typedef {{name: string, size_bytes: number, sha256: string}} ContentFile */
/** @typedef {{v: 1, package_id: string, device: string, agency: string, grant_digest: string, keys: {recipient: string, wrapped: string}[]}} PackageHeader */

const MAGIC = utf8("DWPKG1\r\n");
const PACKAGE_INFO = utf8("doorward/package/v1\0");
const CHUNK_BYTES = 64 * 1024 + 16;
/** So many chunks are read at once. */
const PIECE_CHUNKS = 16;
const MAX_HEADER_BYTES = 32 * 1024;
const MAX_INDEX_BYTES = 64 * 1024;
const MAX_FILES = 128;
const MAX_FILE_BYTES = 2 ** 40;
const FILE_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Returns a package's readable header and where its chunks begin. Nothing is verified.
 * @param {Uint8Array} sealed
 */
export function readHeaderUnverified(sealed) {
  if (b64u(sealed.subarray(0, MAGIC.length)) !== b64u(MAGIC)) {
    throw new WireError("not a Doorward evidence package");
  }
  const size = uint32(sealed, 8);
  if (size > MAX_HEADER_BYTES || sealed.length < 12 + size) {
    throw new WireError("the package's header is cut off or too large");
  }
  const header = /** @type {PackageHeader} */ (parseCanonical(text(sealed.subarray(12, 12 + size))));
  return { header, begin: 12 + size };
}

/**
 * Opens a package with one of its recipients' raw X25519 keys; returns its files by name.
 *
 * It is read, decrypted and hashed a piece at a time; what comes out are Blobs, which a browser may
 * keep outside of memory.
 * @param {Blob} sealed
 * @param {Uint8Array} privateKey
 * @param {Uint8Array} publicKey
 * @returns {Promise<{header: PackageHeader, files: Map<string, Blob>}>}
 */
export async function openPackage(sealed, privateKey, publicKey) {
  const prefix = new Uint8Array(await sealed.slice(0, 12 + MAX_HEADER_BYTES).arrayBuffer());
  const { header, begin } = readHeaderUnverified(prefix);
  const mine = header.keys.find((key) => key.recipient === b64u(publicKey));
  if (mine === undefined) throw new WireError("this package isn't sealed to this key");
  const info = join(PACKAGE_INFO, unhex(header.grant_digest));
  const pair = await importSealingPair(privateKey, publicKey);
  const contentKey = await openSealed(pair, unb64u(mine.wrapped), info);
  const aad = await sha256(prefix.subarray(12, begin));
  return { header, files: await splitFiles(await openChunks(contentKey, aad, sealed.slice(begin))) };
}

/** @param {Bytes} contentKey @param {Bytes} aad @param {Blob} body */
async function openChunks(contentKey, aad, body) {
  const key = await crypto.subtle.importKey("raw", contentKey, "AES-GCM", false, ["decrypt"]);
  const count = Math.max(1, Math.ceil(body.size / CHUNK_BYTES));
  const pieces = [];
  for (let from = 0; from < count; from += PIECE_CHUNKS) {
    const piece = new Uint8Array(await body.slice(from * CHUNK_BYTES, (from + PIECE_CHUNKS) * CHUNK_BYTES).arrayBuffer());
    const chunks = [];
    for (let i = from; i < Math.min(count, from + PIECE_CHUNKS); i += 1) {
      const chunk = piece.subarray((i - from) * CHUNK_BYTES, (i - from + 1) * CHUNK_BYTES);
      const params = { name: "AES-GCM", iv: chunkNonce(i, i === count - 1), additionalData: aad };
      try {
        chunks.push(await crypto.subtle.decrypt(params, key, chunk));
      } catch {
        throw new WireError("the package was altered or cut off");
      }
    }
    pieces.push(new Blob(chunks));
  }
  return new Blob(pieces);
}

/** @param {number} number @param {boolean} isLast */
function chunkNonce(number, isLast) {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(number));
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Returns a list of the files in a package, if it can be one. @param {unknown} files @returns {ContentFile[]} */
export function contentFiles(files) {
  if (!Array.isArray(files) || files.length < 1 || files.length > MAX_FILES) {
    throw new WireError("a package has between 1 and {most} files", { most: MAX_FILES });
  }
  if (!files.every(isContentFile)) throw new WireError("the package names a file as none is named");
  return files;
}

/** @param {unknown} entry */
function isContentFile(entry) {
  const { name, size_bytes, sha256 } = /** @type {Record<string, unknown>} */ (entry ?? {});
  const isNamed = typeof name === "string" && FILE_NAME.test(name);
  const isSize = Number.isSafeInteger(size_bytes) && Number(size_bytes) >= 0 && Number(size_bytes) <= MAX_FILE_BYTES;
  return isNamed && isSize && typeof sha256 === "string" && DIGEST.test(sha256);
}

/** @param {Blob} plain */
async function splitFiles(plain) {
  const begin = new Uint8Array(await plain.slice(0, 4 + MAX_INDEX_BYTES).arrayBuffer());
  const size = uint32(begin, 0);
  if (size > MAX_INDEX_BYTES || 4 + size > plain.size) {
    throw new WireError("the package's index is cut off or too large");
  }
  const entries = contentFiles(parse(text(begin.subarray(4, 4 + size)))?.files);
  let position = 4 + size;
  if (entries.reduce((sum, entry) => sum + entry.size_bytes, position) !== plain.size) {
    throw new WireError("the package holds more or less than its index names");
  }
  /** @type {Map<string, Blob>} */
  const files = new Map();
  for (const { name, size_bytes, sha256: digest } of entries) {
    const file = plain.slice(position, position + size_bytes);
    if (files.has(name) || (await sha256OfBlob(file)) !== digest) {
      throw new WireError("{name} inside the package is damaged", { name });
    }
    files.set(name, file);
    position += size_bytes;
  }
  return files;
}

/** @param {Uint8Array} data @param {number} position */
function uint32(data, position) {
  if (data.length < position + 4) throw new WireError("the package is cut off");
  return new DataView(data.buffer, data.byteOffset).getUint32(position);
}
