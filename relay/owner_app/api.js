/**
 * The client of the relay's JSON API. The relay is trusted with nothing.
 * @module
 */

import { setClockOffset } from "./town_time.js";

/** The relay says something each 15 s; after this long, the connection is dead. */
const STREAM_SILENCE_MS = 45_000;

/** @typedef {{event: string, data: any, id?: string | undefined}} StreamMessage `id` says how far one has heard, for another stream to go on from */

/** The relay answered with an error; `code` names it. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The relay can't be reached. */
export class Unreachable extends Error {}

export class Relay {
  /** @param {string} url such as http://localhost:8400 */
  constructor(url) {
    this.base = `${url.replace(/\/$/, "")}/api/v1/`;
    this.token = "";
    /** The relay takes the token no more. */
    this.onSignedOut = () => {};
  }

  /**
   * @param {string} path
   * @param {{cache?: RequestCache, signal?: AbortSignal}} [options] nothing is taken from the browser's cache unless it says so
   * @returns {Promise<any>} JSON, of which callers name the type; or a picture's Blob
   */
  get(path, options = {}) {
    return this.#send("GET", path, undefined, options);
  }

  /**
   * @param {string} path
   * @param {unknown} [body]
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   */
  post(path, body = {}, options = {}) {
    return this.#send("POST", path, body, options);
  }

  /** @param {string} path @param {unknown} body @returns {Promise<any>} */
  put(path, body) {
    return this.#send("PUT", path, body);
  }

  /** @param {string} path @param {{keepalive?: boolean}} [options] @returns {Promise<any>} */
  delete(path, options = {}) {
    return this.#send("DELETE", path, undefined, options);
  }

  /**
   * Yields a greeting ("hello") once the relay listens, then its server-sent events until the connection ends.
   * @param {AbortSignal} signal
   * @param {string} [lastId] of a stream before it: what came since is told first, at whichever relay
   * @returns {AsyncGenerator<StreamMessage>}
   */
  async *stream(signal, lastId = "") {
    const { token } = this;
    const response = await this.#fetch("stream", { signal, headers: lastId ? { "Last-Event-ID": lastId } : {} });
    await this.#raise(response, token);
    if (response.body === null) throw new Unreachable("an empty stream");
    yield* parseStream(response.body);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {RequestInit} [options]
   */
  async #send(method, path, body, options = {}) {
    const { token } = this;
    const isFile = body instanceof Blob;
    const response = await this.#fetch(path, {
      ...options,
      method,
      headers: body === undefined ? {} : { "Content-Type": isFile ? body.type : "application/json" },
      body: body === undefined ? null : isFile ? body : JSON.stringify(body),
    });
    await this.#raise(response, token);
    if (response.status === 204) return null;
    return response.headers.get("content-type")?.startsWith("image/") ? response.blob() : response.json();
  }

  /** @param {string} path @param {RequestInit} options */
  async #fetch(path, options) {
    const headers = new Headers(options.headers);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    try {
      const response = await fetch(this.base + path, { cache: "no-store", ...options, headers });
      setClockOffset(response.headers.get("x-town-ahead-ms"));
      return response;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Unreachable("the relay can't be reached");
    }
  }

  /** @param {Response} response @param {string} token what was asked with: somebody else may be signed in by now */
  async #raise(response, token) {
    if (response.ok) return;
    const body = await response.json().catch(() => ({}));
    const { code = "error", message = response.statusText } = body.error ?? {};
    if (response.status === 401 && token && token === this.token) this.onSignedOut();
    throw new ApiError(response.status, code, message);
  }
}

/**
 * Parses text/event-stream (HTML, section 9.2).
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<StreamMessage>}
 */
async function* parseStream(body) {
  const reader = body.getReader();
  try {
    yield* messagesOf(reader);
  } finally {
    reader.cancel().catch(() => {}); // it may have ended already
  }
}

/**
 * @param {ReadableStreamDefaultReader<Uint8Array>} reader
 * @returns {AsyncGenerator<StreamMessage>}
 */
async function* messagesOf(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for (let isGreeted = false; ; ) {
    const silence = setTimeout(() => void reader.cancel(), STREAM_SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    rest += decoder.decode(value, { stream: true }).replaceAll("\r\n", "\n");
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const message = parseBlock(block, isGreeted ? "message" : "hello");
      isGreeted = true;
      if (message !== null) yield message;
    }
  }
}

/** @param {string} block @param {string} event its name unless it has one; a greeting has no data @returns {StreamMessage | null} */
function parseBlock(block, event) {
  const data = [];
  let id;
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event = value;
    if (name === "data") data.push(value);
    if (name === "id") id = value;
  }
  if (event === "hello") return { event, data: null, id };
  return data.length ? { event, data: JSON.parse(data.join("\n")), id } : null;
}
