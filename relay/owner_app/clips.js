/**
 * Clips from the doorbell over a live session: played at once over its video track, and fetched
 * over its data channel, verified before they can be saved.
 *
 * The doorbell's words there are in firmware/live/clip_channel.py. A clip is only handed on if
 * its manifest is the signed one whose digest was told, and its pictures and sound are the
 * manifest's. What is played at once comes from the doorbell too, by the session that it signed for.
 * When it began is the doorbell's own word as well: what the relay says of that counts for nothing here.
 * @module
 */
import { ClipError } from "./clip_error.js";
import { LiveSession } from "./live.js";
import { pause } from "./pause.js";
import { LAST_MS, sha256Hex, unb64u, utf8 } from "./vendor/protocol/encoding.js";
import { checkManifest, isSameFootage, isSameSound } from "./vendor/protocol/footage.js";
import { readMp4 } from "./vendor/protocol/mp4.js";

/** @typedef {import("./vendor/protocol/documents.js").ClipManifest} ClipManifest */
/** @typedef {import("./vendor/protocol/documents.js").SignedManifest} SignedManifest */
/** @typedef {"trusted" | "dated" | "latest" | "unknown"} Dating how its time is known: by a right clock, corrected since, as its latest only, not at all */
/** @typedef {{blob: Blob, manifest: ClipManifest, signed: SignedManifest, times_s: number[], started_ms: number | null, dating: Dating}} CheckedClip `times_s` of its pictures; `started_ms` is null if the doorbell doesn't say when it began */
/** @typedef {{clip: string, size: number, from: number, digest: string, manifest: SignedManifest, started_ms?: number, dating?: string}} Head */
/** @typedef {{clipId: string, digest: string, identityKey: string}} Which */

const OPEN_MS = 20_000;
const SILENCE_MS = 20_000;
const MAX_CLIP_BYTES = 512 * 1024 * 1024;
const MAX_BREAKS = 4;
const BREAK_MS = 700;

export class ClipReader {
  /**
   * @param {import("./live_prefetch.js").LivePrefetch} ready
   * @param {string} device
   */
  constructor(ready, device) {
    this.makeSession = async () => new LiveSession(ready.relay, await ready.call(device, "clips"));
    /** @type {Promise<LiveSession> | null} */
    this.session = null;
    /** @type {Promise<unknown>} one clip at a time */
    this.turn = Promise.resolve();
    this.isClosed = false;
  }

  /**
   * Fetches and checks one clip; goes on where it was after a break.
   * @param {Which} which
   * @param {(share: number) => void} onProgress
   * @returns {Promise<CheckedClip>}
   */
  read(which, onProgress) {
    const mine = this.turn.then(() => this.#read(which, onProgress));
    this.turn = mine.catch(() => {});
    return mine;
  }

  /**
   * Plays a clip over the session's video track; nothing of it is kept. To be asked before `read`:
   * the doorbell answers in order.
   * @param {string} clipId
   * @param {(atMs: number | null) => void} onPlace told where it is now and then; null at its end
   * @returns {Promise<MediaStream>}
   */
  async play(clipId, onPlace) {
    const { clips, stream, video } = await this.#opened();
    if (video === null) throw new ClipError("unreachable", "no H.264 over WebRTC: only the file can be shown");
    clips.addEventListener("message", ({ data }) => {
      const said = typeof data === "string" ? JSON.parse(data) : {};
      if (said.playing === clipId) onPlace(said.at_ms ?? said.from_ms ?? 0);
      if (said.played === clipId) onPlace(null);
    });
    clips.send(JSON.stringify({ play: clipId, from_ms: 0 }));
    return stream;
  }

  /**
   * Plays it from another moment on, while it is being fetched: that stops for the answer, and goes
   * on where it was.
   * @param {string} clipId @param {number} fromMs
   */
  async seek(clipId, fromMs) {
    const { clips } = await this.#opened();
    clips.send(JSON.stringify({ stop: true }));
    clips.send(JSON.stringify({ play: clipId, from_ms: Math.max(0, Math.floor(fromMs)) }));
  }

  /** Stops what is played over the track, and what is being fetched. */
  stop() {
    this.session
      ?.then(({ clips }) => clips.readyState === "open" && clips.send(JSON.stringify({ stop: true })))
      .catch(() => {});
  }

  /** Ends the session, if one is open. */
  close() {
    this.isClosed = true;
    this.session?.then((session) => session.close()).catch(() => {});
    this.session = null;
  }

  /** @param {Which} which @param {(share: number) => void} onProgress */
  async #read(which, onProgress) {
    const { head, blob } = await this.#fetch(new Download(which.clipId, onProgress));
    return checked(head, blob, which);
  }

  /** @param {Download} download */
  async #fetch(download) {
    for (let breaks = 0; ; ) {
      const before = download.received;
      try {
        const { clips } = await this.#opened();
        return await download.over(clips);
      } catch (error) {
        if (!(error instanceof ClipError) || error.reason !== "unreachable") throw error;
        breaks = download.received > before ? 1 : breaks + 1;
        if (this.isClosed || breaks > MAX_BREAKS || download.head === null) throw error;
        console.warn("a break", error);
        this.#drop();
        await pause(BREAK_MS * breaks);
      }
    }
  }

  /** @returns {Promise<LiveSession>} with its channel open */
  #opened() {
    if (this.isClosed) throw new ClipError("unreachable", "nobody looks any more");
    this.session ??= this.#open().catch((error) => {
      this.session = null;
      throw error;
    });
    return this.session;
  }

  async #open() {
    const session = await this.makeSession();
    session.onState = (state) => {
      if (state === "lost") session.close();
      if (state === "closed") this.session = null;
    };
    try {
      const opened = once(session.clips, "open", OPEN_MS);
      opened.catch(() => {});
      await session.start();
      await opened;
      if (this.isClosed) throw new Error("nobody looks any more");
      return session;
    } catch (error) {
      session.close();
      throw new ClipError("unreachable", String(error), error);
    }
  }

  #drop() {
    this.session?.then((session) => session.close()).catch(() => {});
    this.session = null;
  }
}

/** @param {Head} head @param {Blob} blob @param {Which} which @returns {Promise<CheckedClip>} */
async function checked({ manifest: signed, started_ms, dating }, blob, { clipId, digest, identityKey }) {
  if ((await sha256Hex(utf8(signed.manifest))) !== digest) {
    throw new ClipError("different", "another manifest than was told");
  }
  try {
    const manifest = await checkManifest(signed, unb64u(identityKey));
    if (manifest.clip_id !== clipId) throw new Error("another recording's manifest");
    const mp4 = await readMp4(blob);
    if (!(await isSameFootage(mp4.pictures(), manifest))) throw new Error("other pictures");
    if (mp4.hasSound && !(await isSameSound(mp4.sound(), manifest))) throw new Error("other sound");
    const times_s = mp4.pictureTimes().map((pts_90k) => pts_90k / 90_000);
    const time = { started_ms: beginOf(manifest, started_ms), dating: datingOf(manifest, dating) };
    return { blob, manifest, signed, times_s, ...time };
  } catch (error) {
    throw new ClipError("different", String(error));
  }
}

/**
 * Returns when a clip began: as the doorbell signed it, or, where its clock wasn't set then, as its
 * library has it now.
 * @param {ClipManifest} manifest @param {number} [told_ms] of the clip's head
 */
function beginOf({ is_clock_trusted, started_ms }, told_ms = NaN) {
  if (is_clock_trusted) return started_ms;
  return Number.isSafeInteger(told_ms) && told_ms >= 0 && told_ms <= LAST_MS ? told_ms : null;
}

/** Returns how that is known; an older doorbell doesn't say. @param {ClipManifest} manifest @param {string} [told] of the clip's head @returns {Dating} */
function datingOf({ is_clock_trusted }, told) {
  if (is_clock_trusted) return "trusted";
  return told === "dated" || told === "latest" ? told : "unknown";
}

/** One clip on its way, over one channel or, after a break, several. */
export class Download {
  /** @param {string} clipId @param {(share: number) => void} onProgress */
  constructor(clipId, onProgress) {
    this.clipId = clipId;
    this.onProgress = onProgress;
    /** @type {Head | null} */
    this.head = null;
    /** @type {ArrayBuffer[]} */
    this.parts = [];
    this.received = 0;
  }

  /**
   * Asks for what is missing, and resolves with the whole.
   * @param {RTCDataChannel} channel
   * @returns {Promise<{head: Head, blob: Blob}>}
   */
  over(channel) {
    return new Promise((resolve, reject) => {
      const stop = new AbortController();
      const { signal } = stop;
      /** @type {ReturnType<typeof setTimeout>} */
      let silence;
      const fail = (/** @type {unknown} */ error) => {
        clearTimeout(silence);
        stop.abort();
        reject(error);
      };
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => fail(new ClipError("unreachable", "no more data came")), SILENCE_MS);
      };
      const take = (/** @type {MessageEvent} */ { data }) => {
        heard();
        try {
          if (typeof data !== "string") return this.#take(data);
          const answer = JSON.parse(data);
          if (answer.stopped === true) return channel.send(JSON.stringify(this.#wish())); // for a seek
          if (!this.#hear(answer)) return;
          clearTimeout(silence);
          stop.abort();
          resolve({ head: /** @type {Head} */ (this.head), blob: new Blob(this.parts, { type: "video/mp4" }) });
        } catch (error) {
          fail(error);
        }
      };
      channel.addEventListener("message", take, { signal });
      const hungUp = () => fail(new ClipError("unreachable", "the doorbell hung up"));
      channel.addEventListener("close", hungUp, { signal });
      if (channel.readyState !== "open") return hungUp();
      heard();
      channel.send(JSON.stringify(this.#wish()));
    });
  }

  #wish() {
    return this.received > 0 ? { get: this.clipId, from: this.received } : { get: this.clipId };
  }

  /** @param {any} answer @returns {boolean} whether that was the end */
  #hear(answer) {
    if (answer.error) throw new ClipError("gone", String(answer.error));
    if (answer.clip === this.clipId) this.#begin(answer);
    if (answer.end !== this.clipId) return false;
    if (this.received !== this.head?.size) throw new ClipError("different", "sizes differ");
    return true;
  }

  /** @param {Head} head */
  #begin(head) {
    const before = this.head ?? head;
    const isSame = before.size === head.size && before.digest === head.digest;
    if (!isSame || head.from !== this.received) {
      throw new ClipError("different", "another part, or the recording changed meanwhile");
    }
    this.head = head;
  }

  /** @param {ArrayBuffer} data */
  #take(data) {
    const { head } = this;
    const received = this.received + data.byteLength;
    if (head === null || received > Math.min(head.size, MAX_CLIP_BYTES)) {
      throw new ClipError("different", "more data than announced");
    }
    this.received = received;
    this.parts.push(data);
    this.onProgress(received / head.size);
  }
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
