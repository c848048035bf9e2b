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
  sha256Hex,
  text,
  unb64u,
  unhex,
  utf8,
} from "../static/js/protocol/encoding.js";
import { importSealingPair, openSealed } from "../static/js/protocol/sealing.js";

/** @typedef {import("../static/js/protocol/encoding.js").Bytes} Bytes */
/** @typedef {{name: string, size_bytes: number, sha256: string}} ContentFile */
/** @typedef {{v: 1, package_id: string, device: string, agency: string, grant_digest: string, keys: {recipient: string, wrapped: string}[]}} PackageHeader */

const MAGIC = utf8("DWPKG1\r\n");
const PACKAGE_INFO = utf8("doorward/package/v1\0");
const CHUNK_BYTES = 64 * 1024 + 16;
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
 * @param {Uint8Array} sealed
 * @param {Uint8Array} privateKey
 * @param {Uint8Array} publicKey
 * @param {(done: number) => void} [onProgress] told the opened share, 0 to 1
 * @returns {Promise<{header: PackageHeader, files: Map<string, Bytes>}>}
 */
export async function openPackage(sealed, privateKey, publicKey, onProgress = () => {}) {
  const { header, begin } = readHeaderUnverified(sealed);
  const mine = header.keys.find((key) => key.recipient === b64u(publicKey));
  if (mine === undefined) throw new WireError("this package isn't sealed to this key");
  const info = join(PACKAGE_INFO, unhex(header.grant_digest));
  const pair = await importSealingPair(privateKey, publicKey);
  const contentKey = await openSealed(pair, unb64u(mine.wrapped), info);
  const aad = await sha256(sealed.subarray(12, begin));
  const plain = await openChunks(contentKey, aad, sealed.subarray(begin), onProgress);
  return { header, files: await splitFiles(plain) };
}

/**
 * @param {Bytes} contentKey
 * @param {Bytes} aad
 * @param {Uint8Array} body
 * @param {(done: number) => void} onProgress
 */
async function openChunks(contentKey, aad, body, onProgress) {
  const key = await crypto.subtle.importKey("raw", contentKey, "AES-GCM", false, ["decrypt"]);
  const count = Math.max(1, Math.ceil(body.length / CHUNK_BYTES));
  const chunks = [];
  for (let i = 0; i < count; i += 1) {
    const iv = chunkNonce(i, i === count - 1);
    const sealed = join(body.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
    try {
      const params = { name: "AES-GCM", iv, additionalData: aad };
      chunks.push(new Uint8Array(await crypto.subtle.decrypt(params, key, sealed)));
    } catch {
      throw new WireError("the package was altered or cut off");
    }
    onProgress((i + 1) / count);
  }
  return join(...chunks);
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

/** @param {Bytes} plain */
async function splitFiles(plain) {
  const size = uint32(plain, 0);
  if (size > MAX_INDEX_BYTES) throw new WireError("the package's header is cut off or too large");
  const index = parse(text(plain.subarray(4, 4 + size)));
  /** @type {Map<string, Bytes>} */
  const files = new Map();
  let position = 4 + size;
  for (const entry of contentFiles(index?.files)) {
    const data = plain.subarray(position, position + entry.size_bytes);
    if ((await sha256Hex(data)) !== entry.sha256 || files.has(entry.name)) {
      throw new WireError("{name} inside the package is damaged", { name: entry.name });
    }
    files.set(entry.name, data);
    position += entry.size_bytes;
  }
  if (position !== plain.length) throw new WireError("the package holds more than its index names");
  return files;
}

/** @param {Uint8Array} data @param {number} position */
function uint32(data, position) {
  if (data.length < position + 4) throw new WireError("the package is cut off");
  return new DataView(data.buffer, data.byteOffset).getUint32(position);
}
