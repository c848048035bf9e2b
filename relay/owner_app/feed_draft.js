/**
 * The post that is being written: in this window's memory alone, so that one can go to the door for
 * a picture and come back, and nothing of it is left when the window is closed.
 * @module
 */

/** @typedef {import("./feed.js").Kind} Kind */
/** @typedef {{jpeg: Blob, url: string}} PaintedPicture what will be uploaded, and nothing else */
/** @typedef {{kind: Kind | "", text: string, cell: string, hourMs: number, pictures: PaintedPicture[]}} Draft */

let writer = "";
let draft = empty();
/** A frame that is still to be painted. @type {Blob | null} */
let offered = null;

/** The draft of whoever is signed in; another's is gone. @param {string} credentialId */
export function draftOf(credentialId) {
  if (writer !== credentialId) forgetDraft();
  writer = credentialId;
  return draft;
}

export function forgetDraft() {
  for (const { url } of draft.pictures) URL.revokeObjectURL(url);
  draft = empty();
  offered = null;
}

/** Takes a frame of the door to the composer. @param {string} credentialId @param {Blob} frame */
export function offerFrame(credentialId, frame) {
  draftOf(credentialId);
  offered = frame;
}

export function hasOffered() {
  return offered !== null;
}

export function takeOffered() {
  const frame = offered;
  offered = null;
  return frame;
}

/** Takes what a video shows to the composer; false if it shows nothing yet. @param {string} credentialId @param {HTMLVideoElement} video */
export async function offerVideo(credentialId, video) {
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return false;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  offerFrame(credentialId, await canvas.convertToBlob({ type: "image/png" }));
  return true;
}

/** @returns {Draft} */
function empty() {
  return { kind: "", text: "", cell: "", hourMs: 0, pictures: [] };
}
