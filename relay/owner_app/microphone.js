/**
 * This browser's microphone for talking at the door: requested on first use, muted unless one
 * talks, and released a while after.
 * @module
 */

/** The browser gives no microphone; `reason` names why. */
export class NoMicrophone extends Error {
  /** @param {"denied" | "missing" | "busy"} reason @param {string} detail */
  constructor(reason, detail) {
    super(detail);
    this.reason = reason;
  }
}

/** So long it is kept after the last word: asking for it again takes a moment. */
const KEEP_MS = 20_000;
const WISHES = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Microphone {
  /**
   * @param {Pick<RTCRtpSender, "replaceTrack">} sender of the live session
   * @param {Pick<MediaDevices, "getUserMedia"> | undefined} [devices]
   */
  constructor(sender, devices = navigator.mediaDevices) {
    this.sender = sender;
    this.devices = devices;
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    /** @type {Promise<void> | null} while the browser asks its user */
    this.opening = null;
    this.isWanted = false;
    this.isClosed = false;
    this.timer = 0;
  }

  /** Tells whether it is there already, so that nobody will be asked. */
  get isOpen() {
    return this.track !== null && this.track.readyState === "live";
  }

  /** Lets one's voice out; the browser may ask its user first. Throws NoMicrophone. */
  async speak() {
    this.isWanted = true;
    clearTimeout(this.timer);
    if (!this.isOpen) await (this.opening ??= this.#open().finally(() => (this.opening = null)));
    if (this.track !== null) this.track.enabled = this.isWanted;
  }

  /** Silent at once; given back a while later. */
  hush() {
    this.isWanted = false;
    if (this.track !== null) this.track.enabled = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#giveBack(), KEEP_MS);
  }

  close() {
    this.isClosed = true;
    this.isWanted = false;
    clearTimeout(this.timer);
    this.#giveBack();
  }

  async #open() {
    const [track] = (await askForMicrophone(this.devices, WISHES)).getAudioTracks();
    if (this.isClosed) return track.stop();
    track.enabled = false; // not a word before the one who asked still wants it
    this.track = track;
    await this.sender.replaceTrack(track);
  }

  #giveBack() {
    this.track?.stop();
    this.track = null;
    if (!this.isClosed) this.sender.replaceTrack(null).catch(() => {}); // the session may be over
  }
}

/**
 * Asks the browser for its microphone, and the browser its user. Throws NoMicrophone.
 * @param {Pick<MediaDevices, "getUserMedia"> | undefined} devices @param {MediaTrackConstraints} wishes
 */
export async function askForMicrophone(devices, wishes) {
  if (devices === undefined) throw new NoMicrophone("missing", "not on this page");
  try {
    return await devices.getUserMedia({ audio: wishes });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    const reason = name === "NotAllowedError" ? "denied" : name === "NotReadableError" ? "busy" : "missing";
    throw new NoMicrophone(reason, String(error));
  }
}
