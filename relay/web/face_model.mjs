/**
 * Copies the face detector's network for `npm run vendor`: MediaPipe's BlazeFace (back camera),
 * as @vladmandic/human converts it. Its graph is cut to what face_network.js reads.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const IDENTITY = "Identity";

/** @param {string} root the repository @param {string} to a folder of the app */
export function writeFaceModel(root, to) {
  const models = join(root, "node_modules/@vladmandic/human/models");
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(join(models, "blazeface.json"), "utf8"));
  const [{ weights }] = weightsManifest;
  if (weights.some(({ quantization }) => quantization !== undefined)) throw new Error("the face model's weights are packed in another way now");
  const layers = modelTopology.node.filter(({ op }) => op !== "Const" && op !== IDENTITY).map(layerOf);
  mkdirSync(to, { recursive: true });
  writeFileSync(join(to, "blazeface.json"), JSON.stringify({ layers, weights: weights.map(({ name, shape, dtype }) => ({ name, shape, dtype })) }));
  copyFileSync(join(models, "blazeface.bin"), join(to, "blazeface.bin"));
  copyFileSync(join(root, "relay/web/licenses/blazeface.txt"), join(to, "blazeface.LICENSE"));
}

function layerOf({ name, op, input = [], attr = {} }) {
  const text = (value) => (value === undefined ? undefined : Buffer.from(value.s, "base64").toString());
  const fused = (attr.fused_ops?.list.s ?? []).map((one) => Buffer.from(one, "base64").toString());
  const [, stride] = (attr.strides?.list.i ?? []).map(Number);
  const [, size] = (attr.ksize?.list.i ?? []).map(Number);
  return { name, op, input, stride, size, padding: text(attr.padding), is_relu: fused.includes("Relu") || undefined };
}
