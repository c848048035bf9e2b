/**
 * The face finder: looks over a picture, whole and in overlapping squares for small faces, by a
 * network that runs in this browser. Nothing is sent, and nobody is recognised.
 *
 * A network of this kind misses faces. What it finds is covered without asking; what it doesn't is
 * for the author's own eyes and the moderator's.
 * @module
 */
import { FaceNetwork } from "./face_network.js";

/** @typedef {import("./painted_picture.js").Box} Box */
/** @typedef {Box & {score: number}} Found */

const INPUT_PX = 256;
/** Cells of the network's two maps: their stride, and how many guesses each makes. */
const MAPS = /** @type {const} */ ([
  { name: "1", stride: 16, guesses: 2 },
  { name: "2", stride: 32, guesses: 6 },
]);
/** What is sent with each guess: a box and six points, of which none is kept. */
const NUMBERS = 16;
/** Rather a cushion covered than a face shown. */
const LEAST_SCORE = 0.35;
/** More of the smaller box than this in another one: the same face. */
const SAME_SHARE = 0.4;
/** Squares of this share of the longer side, for faces that are small in the whole picture. */
const SQUARE_SHARE = 0.6;
const OVERLAP_SHARE = 0.25;
/** A picture no larger than this is looked at whole: squares of it would show no more. */
const SMALL_PX = 2 * INPUT_PX;

/** @type {Promise<FaceNetwork> | null} */
let loading = null;

/** Finds faces; fails if the network can't be loaded or run. @param {OffscreenCanvas} picture @returns {Promise<Found[]>} */
export async function findFaces(picture) {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  const network = await loading;
  /** @type {Found[]} */
  const found = [];
  for (const square of squaresOf(picture)) {
    found.push(...facesIn(network, pixelsOf(picture, square)).map((face) => placed(face, square)));
    await new Promise((go) => setTimeout(go)); // the page stays alive
  }
  return merged(found);
}

/** @returns {Promise<FaceNetwork>} */
async function load() {
  const [graph, weights] = await Promise.all(["json", "bin"].map((kind) => fetch(new URL(`./vendor/faces/blazeface.${kind}`, import.meta.url))));
  if (!graph.ok || !weights.ok) throw new Error("the face finder can't be fetched");
  return new FaceNetwork(await graph.json(), await weights.arrayBuffer());
}

/** The whole picture as a square, and squares over all of it. @param {{width: number, height: number}} size @returns {Box[]} */
export function squaresOf({ width, height }) {
  const longest = Math.max(width, height);
  const whole = { x: 0, y: 0, width: longest, height: longest };
  if (longest <= SMALL_PX) return [whole];
  const side = Math.round(longest * SQUARE_SHARE);
  const starts = (/** @type {number} */ length) => {
    if (length <= side) return [0];
    const steps = Math.ceil((length - side) / (side * (1 - OVERLAP_SHARE)));
    return Array.from({ length: steps + 1 }, (_, at) => Math.round(((length - side) * at) / steps));
  };
  const small = starts(height).flatMap((y) => starts(width).map((x) => ({ x, y, width: side, height: side })));
  return [whole, ...small];
}

/** A square of the picture as the network takes it: from -1 to 1. @param {OffscreenCanvas} picture @param {Box} square */
function pixelsOf(picture, { x, y, width, height }) {
  const canvas = new OffscreenCanvas(INPUT_PX, INPUT_PX);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no room for the picture");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, x, y, width, height, 0, 0, INPUT_PX, INPUT_PX);
  const { data } = context.getImageData(0, 0, INPUT_PX, INPUT_PX);
  const values = new Float32Array(INPUT_PX * INPUT_PX * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    for (let colour = 0; colour < 3; colour += 1) values[to + colour] = data[from + colour] / 127.5 - 1;
  }
  return values;
}

/** Faces in the network's own pixels. @param {FaceNetwork} network @param {Float32Array} pixels @returns {Found[]} */
export function facesIn(network, pixels) {
  const outputs = [...network.run({ height: INPUT_PX, width: INPUT_PX, channels: 3, data: pixels })];
  const output = (/** @type {string} */ name) => {
    const found = outputs.find(([known]) => known.endsWith(name));
    if (found === undefined) throw new Error("the face finder has other outputs");
    return found[1];
  };
  /** @type {Found[]} */
  const found = [];
  for (const { name, stride, guesses } of MAPS) {
    const [scores, boxes] = [output(`classificators_${name}`), output(`regressors_${name}`)];
    const cells = INPUT_PX / stride;
    if (scores.length !== cells * cells * guesses || boxes.length !== scores.length * NUMBERS) throw new Error("the face finder has outputs of another size");
    scores.forEach((logit, at) => {
      const score = 1 / (1 + Math.exp(-logit));
      if (!(score >= LEAST_SCORE)) return;
      const cell = Math.floor(at / guesses);
      const [dx, dy, width, height] = boxes.subarray(at * NUMBERS, at * NUMBERS + 4);
      const x = ((cell % cells) + 0.5) * stride + dx - width / 2;
      const y = (Math.floor(cell / cells) + 0.5) * stride + dy - height / 2;
      found.push({ x, y, width, height, score });
    });
  }
  return found;
}

/** @param {Found} face @param {Box} square @returns {Found} */
function placed({ x, y, width, height, score }, square) {
  const scale = square.width / INPUT_PX;
  return { x: square.x + x * scale, y: square.y + y * scale, width: width * scale, height: height * scale, score };
}

/** Each face once: the surest box, as large as all boxes of it together. @param {Found[]} found @returns {Found[]} */
export function merged(found) {
  /** @type {Found[]} */
  const kept = [];
  for (const face of [...found].sort((a, b) => b.score - a.score)) {
    const at = kept.findIndex((one) => shareOf(one, face) > SAME_SHARE);
    if (at === -1) kept.push(face);
    else kept[at] = { ...around(kept[at], face), score: kept[at].score };
  }
  return kept;
}

/** How much of the smaller box lies in the other. @param {Box} a @param {Box} b */
function shareOf(a, b) {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return width <= 0 || height <= 0 ? 0 : (width * height) / Math.min(a.width * a.height, b.width * b.height);
}

/** @param {Box} a @param {Box} b @returns {Box} */
function around(a, b) {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}
