/**
 * Clips, straight from the doorbell over a live session's data channel, checked before shown.
 *
 * The doorbell's words there are in firmware/live/clip_channel.py. A clip is only handed on if
 * its manifest is the signed one whose digest was told, and its pictures are the manifest's.
 * @module
 */
import { LiveSession } from "./live.js";
import { join, sha256Hex, unb64u, utf8 } from "./vendor/protocol/encoding.js";
import { checkManifest, isSameFootage } from "./vendor/protocol/footage.js";
import { accessUnits } from "./vendor/protocol/mp4.js";

/** @typedef {import("./vendor/protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {import("./vendor/protocol/documents.js").SignedManifest} SignedManifest */
/** @typedef {{blob: Blob, manifest: ClipManifest}} CheckedClip */
/** @typedef {{clip: string, size: number, digest: string, manifest: SignedManifest}} Head */

const OPEN_MS = 20_000;
const SILENCE_MS = 20_000;
const MAX_CLIP_BYTES = 512 * 1024 * 1024;

/** The clip can't be shown; the message is one of the catalog's clip.error.* names. */
export class ClipError extends Error {
  /** @param {"unreachable" | "gone" | "different"} reason @param {string} detail */
  constructor(reason, detail) {
    super(detail);
    this.reason = reason;
  }
}

export class ClipReader {
  /**
   * @param {import("./api.js").Relay} relay
   * @param {string} device
   * @param {RTCIceServer[]} iceServers
   */
  constructor(relay, device, iceServers) {
    this.makeSession = () => new LiveSession(relay, device, iceServers);
    /** @type {Promise<LiveSession> | null} */
    this.session = null;
    /** @type {Promise<unknown>} one clip at a time */
    this.turn = Promise.resolve();
  }

  /**
   * Fetches and checks one clip.
   * @param {{clipId: string, digest: string, identityKey: string}} which
   * @param {(share: number) => void} onProgress
   * @returns {Promise<CheckedClip>}
   */
  read(which, onProgress) {
    const mine = this.turn.then(() => this.#read(which, onProgress));
    this.turn = mine.catch(() => {});
    return mine;
  }

  /** Ends the session, if one is open. */
  close() {
    this.session?.then((session) => session.close()).catch(() => {});
    this.session = null;
  }

  /**
   * @param {{clipId: string, digest: string, identityKey: string}} which
   * @param {(share: number) => void} onProgress
   */
  async #read({ clipId, digest, identityKey }, onProgress) {
    const session = await this.#opened();
    const { head, data } = await download(session.clips, clipId, onProgress);
    const { manifest: signed } = head;
    if ((await sha256Hex(utf8(signed.manifest))) !== digest) {
      throw new ClipError("different", "another manifest than was told");
    }
    try {
      const manifest = await checkManifest(signed, unb64u(identityKey));
      if (!(await isSameFootage(accessUnits(data), manifest))) throw new Error("other pictures");
      return { blob: new Blob([data], { type: "video/mp4" }), manifest };
    } catch (error) {
      throw new ClipError("different", String(error));
    }
  }

  /** @returns {Promise<LiveSession>} with its channel open */
  #opened() {
    this.session ??= this.#open().catch((error) => {
      this.session = null;
      throw error;
    });
    return this.session;
  }

  async #open() {
    const session = this.makeSession();
    session.onState = (state) => {
      if (state === "lost" || state === "closed") this.session = null;
    };
    try {
      const opened = once(session.clips, "open", OPEN_MS);
      opened.catch(() => {});
      await session.start();
      await opened;
      return session;
    } catch (error) {
      session.close();
      throw new ClipError("unreachable", String(error));
    }
  }
}

/**
 * @param {RTCDataChannel} channel @param {string} clipId @param {(share: number) => void} onProgress
 * @returns {Promise<{head: Head, data: Uint8Array<ArrayBuffer>}>}
 */
function download(channel, clipId, onProgress) {
  return new Promise((resolve, reject) => {
    /** @type {Head | null} */
    let head = null;
    /** @type {Uint8Array[]} */
    const parts = [];
    let received = 0;
    let silence = setTimeout(() => fail("unreachable", "no more data came"), SILENCE_MS);
    const stop = new AbortController();

    /** @param {"unreachable" | "gone" | "different"} reason @param {string} detail */
    const fail = (reason, detail) => {
      finish();
      reject(new ClipError(reason, detail));
    };
    const finish = () => {
      clearTimeout(silence);
      stop.abort();
    };
    /** @param {string} text */
    const hear = (text) => {
      const answer = JSON.parse(text);
      if (answer.error) return fail("gone", answer.error);
      if (answer.clip === clipId) head = answer;
      if (answer.end !== clipId) return;
      if (head === null || received !== head.size) return fail("different", "sizes differ");
      finish();
      resolve({ head, data: join(...parts) });
    };
    /** @param {MessageEvent} event */
    const take = ({ data }) => {
      clearTimeout(silence);
      silence = setTimeout(() => fail("unreachable", "no more data came"), SILENCE_MS);
      if (typeof data === "string") return hear(data);
      received += data.byteLength;
      if (head === null || received > Math.min(head.size, MAX_CLIP_BYTES)) {
        return fail("different", "more data than announced");
      }
      parts.push(new Uint8Array(data));
      onProgress(received / head.size);
    };
    channel.addEventListener("message", take, { signal: stop.signal });
    channel.addEventListener("close", () => fail("unreachable", "the doorbell hung up"), {
      signal: stop.signal,
    });
    channel.send(JSON.stringify({ get: clipId }));
  });
}

/** @param {EventTarget} target @param {string} type @param {number} timeoutMs */
function once(target, type, timeoutMs) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${type} in time`)), timeoutMs);
      target.addEventListener(
        type,
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    })
  );
}
