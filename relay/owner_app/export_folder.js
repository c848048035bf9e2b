/**
 * The folder that an export is written into (File System Access). Each file is there whole or not
 * at all: the browser writes beside it, and puts it in its place when it is closed. What an earlier
 * visit left counts only while its bytes have the digest in the list.
 * @module
 */
import { LIST, READABLE, SUMS, listText, parseList, sumsText } from "./export_files.js";
import { sha256Hex } from "./vendor/protocol/encoding.js";

/** @typedef {import("./export_files.js").ExportList} ExportList */
/** @typedef {import("./export_files.js").FileEntry} FileEntry */
/** @typedef {{path: string, blob: Blob}} NewFile */

/** The list is written after each file, of a long one after each hundredth part: what isn't in it is fetched again. */
const LIST_PARTS = 100;

/** The folder is gone, or may not be written to any more. */
export class FolderGone extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super("the folder can't be written to", { cause });
    this.name = "FolderGone";
  }
}

/** The disk is full. */
export class FolderFull extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super("the disk is full", { cause });
    this.name = "FolderFull";
  }
}

export class FolderTarget {
  /** @param {FileSystemDirectoryHandle} folder @param {string} device */
  constructor(folder, device) {
    this.folder = folder;
    this.device = device;
    /** @type {Map<string, FileEntry>} */
    this.known = new Map();
    /** @type {Map<string, FileEntry>} */
    this.kept = new Map();
    this.unlisted = 0;
  }

  /** Reads what an earlier visit left. Throws FolderGone. */
  async open() {
    const list = await this.#read(LIST);
    const entries = list === null ? [] : (parseList(await list.text(), this.device) ?? []);
    this.known = new Map(entries.map((entry) => [entry.path, entry]));
  }

  /** Whether this file is here whole; one that isn't counts no more. @param {string} path */
  async has(path) {
    const entry = this.known.get(path);
    if (entry === undefined) return this.kept.has(path);
    this.known.delete(path);
    const file = await this.#read(path);
    if (file === null || file.size !== entry.size || (await digestOf(file)) !== entry.sha256) return false;
    this.kept.set(path, entry);
    return true;
  }

  /** Writes files that belong together. @param {NewFile[]} files @param {() => ExportList} list so far, without `files` */
  async put(files, list) {
    for (const { path, blob } of files) {
      await this.#write(path, blob);
      this.known.delete(path);
      this.kept.set(path, { path, size: blob.size, sha256: await digestOf(blob) });
    }
    this.unlisted += 1;
    if (this.unlisted >= this.kept.size / LIST_PARTS) await this.save(list());
  }

  /** Looks at what lies here of earlier and isn't at the doorbell any more. */
  async settle() {
    for (const path of [...this.known.keys()]) await this.has(path);
  }

  /** @returns {FileEntry[]} with what lies here of earlier and wasn't looked at */
  files() {
    return [...this.kept.values(), ...this.known.values()];
  }

  /** Writes down what is here. @param {ExportList} list */
  async save(list) {
    this.unlisted = 0;
    await this.#write(LIST, new Blob([listText(list)]));
  }

  /** Writes what people read, and then the list as complete. @param {ExportList} list @param {string} readable */
  async finish(list, readable) {
    await this.#write(SUMS, new Blob([sumsText(list)]));
    await this.#write(READABLE, new Blob([readable]));
    await this.save(list);
  }

  /** @param {string} path @returns {Promise<File | null>} null: it isn't there */
  async #read(path) {
    try {
      const { folder, name } = await this.#placeOf(path, false);
      return await (await folder.getFileHandle(name)).getFile();
    } catch (error) {
      if (!isNotFound(error)) throw said(error);
      if (await this.#isHere()) return null;
      throw new FolderGone(error);
    }
  }

  async #isHere() {
    try {
      await this.folder.keys().next();
      return true;
    } catch {
      return false;
    }
  }

  /** @param {string} path @param {Blob} blob */
  async #write(path, blob) {
    try {
      const { folder, name } = await this.#placeOf(path, true);
      const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
      try {
        await stream.write(blob);
      } catch (error) {
        await stream.abort().catch(() => {});
        throw error;
      }
      await stream.close();
    } catch (error) {
      throw said(error);
    }
  }

  /** @param {string} path @param {boolean} create */
  async #placeOf(path, create) {
    const parts = path.split("/");
    const name = String(parts.pop());
    let folder = this.folder;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
    return { folder, name };
  }
}

/** @param {Blob} blob @returns {Promise<string>} */
export async function digestOf(blob) {
  return sha256Hex(new Uint8Array(await blob.arrayBuffer()));
}

/** @param {unknown} error */
function isNotFound(error) {
  return error instanceof Error && error.name === "NotFoundError";
}

/** @param {unknown} error */
function said(error) {
  if (!(error instanceof Error)) return error;
  if (error.name === "QuotaExceededError") return new FolderFull(error);
  return ["NotFoundError", "NotAllowedError", "InvalidStateError", "NoModificationAllowedError"].includes(error.name) ? new FolderGone(error) : error;
}
