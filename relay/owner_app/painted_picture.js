/**
 * The painting of a picture before neighbours may see it: its size, the parts that are covered, and
 * what is drawn of them. Covered parts are one colour, so nothing of them is left to be worked out;
 * what is exported is drawn anew, without the file's metadata.
 * @module
 */

/** @typedef {{width: number, height: number}} Size in pixels */
/** @typedef {{x: number, y: number, width: number, height: number}} Box in the picture's pixels */
/** @typedef {Box & {isFace: boolean}} CoveredBox `isFace`: one that the finder found, which stays */
/** @typedef {{points: {x: number, y: number}[], width: number}} Stroke of the brush */
/** @typedef {{covered: CoveredBox[], isWhole: boolean, shown: Box[], strokes?: Stroke[]}} Painting `isWhole`: all is covered but what is in `shown`, and no box of `covered` */

export const MAX_SIDE_PX = 1600;
export const COLOUR = "#000";
export const JPEG_QUALITY = 0.85;
/** A found face is the part from brow to chin: hair and ears tell who somebody is, too. */
const FACE_MARGIN = 0.35;
/** A smaller box is a slip of the finger. */
export const MIN_BOX_PX = 8;
/** So many squares make a stroke as long as it is wide. */
const STEPS_A_WIDTH = 8;

/** The size in which a picture is painted: it is never enlarged. @param {Size} size @param {number} [most] @returns {Size} */
export function fittedSize({ width, height }, most = MAX_SIDE_PX) {
  const scale = Math.min(1, most / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The part of a box that lies in the picture, as whole pixels: none is left half covered. @param {Box} box @param {Size} size @returns {Box} */
export function inside({ x, y, width, height }, size) {
  const clamp = (/** @type {number} */ at, /** @type {number} */ most) => Math.min(most, Math.max(0, at));
  const [left, top] = [clamp(Math.floor(x), size.width), clamp(Math.floor(y), size.height)];
  const [right, bottom] = [clamp(Math.ceil(x + width), size.width), clamp(Math.ceil(y + height), size.height)];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** What is covered of a face that was found. @param {Box} face @param {Size} size @returns {CoveredBox} */
export function faceBox({ x, y, width, height }, size) {
  const [dx, dy] = [width * FACE_MARGIN, height * FACE_MARGIN];
  return { ...inside({ x: x - dx, y: y - dy, width: width + 2 * dx, height: height + 2 * dy }, size), isFace: true };
}

/** The box between two corners, whichever is which. @param {{x: number, y: number}} a @param {{x: number, y: number}} b @returns {Box} */
export function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

/**
 * The squares that a stroke of the brush covers, as whole pixels. A line drawn by the canvas would
 * have soft edges, through which something can be seen. @param {Stroke} stroke @param {Size} size @returns {Box[]}
 */
export function strokeBoxes({ points, width }, size) {
  const square = (/** @type {{x: number, y: number}} */ { x, y }) => inside({ x: x - width / 2, y: y - width / 2, width, height: width }, size);
  const boxes = points.slice(0, 1).map(square);
  for (let at = 1; at < points.length; at += 1) {
    const [from, to] = [points[at - 1], points[at]];
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / (width / STEPS_A_WIDTH)));
    for (let step = 1; step <= steps; step += 1) boxes.push(square({ x: from.x + ((to.x - from.x) * step) / steps, y: from.y + ((to.y - from.y) * step) / steps }));
  }
  return boxes;
}

/** A box moved or resized by a step, so that it stays in the picture and doesn't vanish. @param {Box} box @param {{dx: number, dy: number, isSize: boolean}} step @param {Size} size @returns {Box} */
export function stepped({ x, y, width, height }, { dx, dy, isSize }, size) {
  if (isSize) {
    const grown = (/** @type {number} */ now, /** @type {number} */ by, /** @type {number} */ most) => Math.min(most, Math.max(MIN_BOX_PX, now + by));
    return { x, y, width: grown(width, dx, size.width - x), height: grown(height, dy, size.height - y) };
  }
  const moved = (/** @type {number} */ now, /** @type {number} */ by, /** @type {number} */ most) => Math.min(Math.max(0, most), Math.max(0, now + by));
  return { x: moved(x, dx, size.width - width), y: moved(y, dy, size.height - height), width, height };
}

/**
 * Draws the painted picture. The order is what makes it safe: boxes and strokes come last, over whatever is shown.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context of a canvas of this size
 * @param {CanvasImageSource} source of the same size @param {Size} size @param {Painting} painting
 */
export function paint(context, source, size, { covered, isWhole, shown, strokes = [] }) {
  context.globalAlpha = 1;
  context.globalCompositeOperation = "source-over";
  context.fillStyle = COLOUR;
  if (isWhole) {
    context.fillRect(0, 0, size.width, size.height);
    for (const box of shown) {
      const { x, y, width, height } = inside(box, size);
      if (width > 0 && height > 0) context.drawImage(source, x, y, width, height, x, y, width, height);
    }
  } else context.drawImage(source, 0, 0);
  for (const box of [...covered, ...strokes.flatMap((stroke) => strokeBoxes(stroke, size))]) {
    const { x, y, width, height } = inside(box, size);
    context.fillRect(x, y, width, height);
  }
}

/** Whether anything can be seen in it. @param {Painting} painting */
export function showsSomething({ isWhole, shown }) {
  return !isWhole || shown.length > 0;
}

/**
 * Exports what is to be uploaded: the cropped part of the painted picture as a JPEG.
 * @param {CanvasImageSource} source @param {Size} size @param {Painting} painting @param {Box} crop @returns {Promise<Blob>}
 */
export async function exported(source, size, painting, crop) {
  const whole = new OffscreenCanvas(size.width, size.height);
  paint(context2d(whole), source, size, painting);
  const { x, y, width, height } = inside(crop, size);
  const cut = new OffscreenCanvas(width, height);
  context2d(cut).drawImage(whole, x, y, width, height, 0, 0, width, height);
  return cut.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

/** A picture file in the size in which it is painted, upright as its metadata says. @param {Blob} file @returns {Promise<OffscreenCanvas>} */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file);
  const size = fittedSize(bitmap);
  const canvas = new OffscreenCanvas(size.width, size.height);
  const context = context2d(canvas);
  context.fillStyle = "#fff"; // a JPEG has no transparent parts
  context.fillRect(0, 0, size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, size.width, size.height);
  bitmap.close();
  return canvas;
}

/** @param {OffscreenCanvas} canvas */
function context2d(canvas) {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no room for the picture");
  return context;
}
