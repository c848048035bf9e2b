/**
 * The cache of the app's files, to open without a network: all of one version, each checked
 * against the list that came with the worker. A newer version waits until the owner asks for it.
 * @module
 */
import { WireError, sha256Hex } from "../vendor/protocol/encoding.js";

const PREFIX = "doorward-";
const INDEX = "index.html";
/** Where the relay is; it may move, so it is asked for first, but not for ever. */
const CONFIG = "config.json";
const CONFIG_WAIT_MS = 3000;

export class Shell {
  /**
   * @param {CacheStorage} caches @param {string} scope where the app is, with a slash at the end
   * @param {{version: string, files: Record<string, string>}} list with each file's SHA-256
   */
  constructor(caches, scope, { version, files }) {
    this.caches = caches;
    this.scope = new URL(scope);
    this.files = files;
    this.keptIn = PREFIX + version;
  }

  /** Fetches and checks every file; a version is kept whole or not at all. */
  async install() {
    const cache = await this.caches.open(this.keptIn);
    try {
      await Promise.all(Object.entries(this.files).map(([name, digest]) => this.#keep(cache, name, digest)));
    } catch (error) {
      await this.caches.delete(this.keptIn);
      throw error;
    }
  }

  /** Deletes what other versions kept. */
  async forgetOthers() {
    const names = await this.caches.keys();
    const old = names.filter((name) => name.startsWith(PREFIX) && name !== this.keptIn);
    await Promise.all(old.map((name) => this.caches.delete(name)));
  }

  /** Returns what is kept, or null for what isn't the app's. @param {Request} request */
  answer(request) {
    const url = new URL(request.url);
    const isHere = url.origin === this.scope.origin && url.pathname.startsWith(this.scope.pathname);
    if (request.method !== "GET" || !isHere) return null;
    const name = url.pathname.slice(this.scope.pathname.length) || INDEX;
    if (name === CONFIG) return this.#config(request);
    return Object.hasOwn(this.files, name) ? this.#kept(name, request) : null;
  }

  /** @param {Cache} cache @param {string} name @param {string} digest */
  async #keep(cache, name, digest) {
    const response = await fetch(this.#url(name), { cache: "no-cache" });
    if (!response.ok) throw new WireError(`${name}: HTTP ${response.status}`);
    const data = new Uint8Array(await response.clone().arrayBuffer());
    if ((await sha256Hex(data)) !== digest) throw new WireError(`${name} is of another version`);
    await cache.put(this.#url(name), response);
  }

  /** @param {string} name @param {Request} request */
  async #kept(name, request) {
    const cache = await this.caches.open(this.keptIn);
    return (await cache.match(this.#url(name))) ?? fetch(request);
  }

  /** @param {Request} request */
  async #config(request) {
    const cache = await this.caches.open(this.keptIn);
    try {
      const fresh = await fetch(request, { signal: AbortSignal.timeout(CONFIG_WAIT_MS) });
      if (fresh.ok) await cache.put(this.#url(CONFIG), fresh.clone());
      return fresh;
    } catch (error) {
      const kept = await cache.match(this.#url(CONFIG));
      if (kept === undefined) throw error;
      return kept;
    }
  }

  /** @param {string} name */
  #url(name) {
    return new URL(name === INDEX ? "./" : name, this.scope).href;
  }
}
