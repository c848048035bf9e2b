/**
 * What the relay keeps of a member among neighbours, as one file: their data by the relay's own
 * words, and the pictures.
 * @module
 */

/** @typedef {import("./feed.js").Feed} Feed */

/**
 * A JSON file; its `files` are the pictures by their ids, as data addresses. One that doesn't come
 * fails the whole: half a file would pass for all. @param {Feed} feed @returns {Promise<Blob>}
 */
export async function feedExport(feed) {
  const { told, pictures } = await feed.exported();
  /** @type {Record<string, string>} */
  const files = {};
  for (const id of pictures) files[id] = await dataAddress(await feed.picture(id));
  return new Blob([JSON.stringify({ ...told, files }, null, 2)], { type: "application/json" });
}

/** @param {Blob} blob */
async function dataAddress(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `data:${blob.type};base64,${btoa(binary)}`;
}
