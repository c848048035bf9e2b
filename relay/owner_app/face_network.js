/**
 * The forward pass of the face detector's convolutional network (BlazeFace) in plain JavaScript: the
 * few kinds of layers that it has, on tensors of height, width and channels. No training, nobody's
 * identity: its only outputs are where something looks like a face, and how much.
 * @module
 */

/** @typedef {{name: string, op: string, input: string[], stride?: number, size?: number, padding?: "SAME" | "VALID", is_relu?: boolean}} Layer */
/** @typedef {{name: string, shape: number[], dtype: "float32" | "int32"}} Weight */
/** @typedef {{layers: Layer[], weights: Weight[]}} Graph in the order in which it is worked out */
/** @typedef {{height: number, width: number, channels: number, data: Float32Array}} Tensor */
/** @typedef {{shape: number[], data: Float32Array | Int32Array}} Constant */

const BYTES = 4;

export class FaceNetwork {
  /** @param {Graph} graph @param {ArrayBuffer} bytes all weights, one after another */
  constructor({ layers, weights }, bytes) {
    this.layers = layers;
    /** @type {Map<string, Constant>} */
    this.constants = new Map();
    let offset = 0;
    for (const { name, shape, dtype } of weights) {
      const count = shape.reduce((product, one) => product * one, 1);
      const data = dtype === "int32" ? new Int32Array(bytes, offset, count) : new Float32Array(bytes, offset, count);
      this.constants.set(name, { shape, data });
      offset += count * BYTES;
    }
    if (offset !== bytes.byteLength) throw new Error("the face model's weights are of another size");
  }

  /** Works out all layers; those that nothing goes into are the outputs, by name. @param {Tensor} input @returns {Map<string, Float32Array>} */
  run(input) {
    /** @type {Map<string, Tensor>} */
    const known = new Map();
    const last = new Map(this.layers.flatMap(({ input: names }, at) => names.map((name) => /** @type {const} */ ([name, at]))));
    this.layers.forEach((layer, at) => {
      known.set(layer.name, layer.op === "Placeholder" ? input : this.#layer(layer, known));
      for (const name of layer.input) if (last.get(name) === at) known.delete(name); // a picture's worth of memory each
    });
    return new Map([...known].map(([name, { data }]) => [name, data]));
  }

  /** @param {Layer} layer @param {Map<string, Tensor>} known @returns {Tensor} */
  #layer({ op, input, stride = 1, size = 1, padding, is_relu = false }, known) {
    const x = /** @type {Tensor} */ (known.get(input[0]));
    const isSame = padding === "SAME";
    switch (op) {
      case "_FusedConv2D":
        return convolved(x, this.#constant(input[1]), this.#constant(input[2]), { stride, isSame, isRelu: is_relu });
      case "DepthwiseConv2dNative":
        return depthwise(x, this.#constant(input[1]), { stride, isSame });
      case "AddV2":
        return added(x, known.get(input[1]) ?? null, this.constants.get(input[1]) ?? null);
      case "Relu":
        return { ...x, data: x.data.map((value) => (value > 0 ? value : 0)) };
      case "MaxPool":
        return pooled(x, size, stride);
      case "Pad":
        return padded(x, this.#constant(input[1]));
      case "Reshape":
        return x; // the numbers stand in the same order
      default:
        throw new Error(`a layer of another kind: ${op}`);
    }
  }

  /** @param {string} name */
  #constant(name) {
    const found = this.constants.get(name);
    if (found === undefined) throw new Error("a layer without its weights");
    return found;
  }
}

/** The size after a window has gone over it, and how many cells lie before the edge (TensorFlow's SAME). @param {number} length @param {number} window @param {number} stride @param {boolean} isSame */
function windows(length, window, stride, isSame) {
  if (!isSame) return { count: Math.floor((length - window) / stride) + 1, before: 0 };
  const count = Math.ceil(length / stride);
  return { count, before: Math.max(0, Math.floor(((count - 1) * stride + window - length) / 2)) };
}

/** @param {Tensor} x @param {Constant} weights height, width, in, out @param {Constant} bias @param {{stride: number, isSame: boolean, isRelu: boolean}} how @returns {Tensor} */
function convolved({ height, width, channels, data }, { shape: [kh, kw, , out], data: w }, { data: bias }, { stride, isSame, isRelu }) {
  const rows = windows(height, kh, stride, isSame);
  const columns = windows(width, kw, stride, isSame);
  const result = new Float32Array(rows.count * columns.count * out);
  let to = 0;
  for (let row = 0; row < rows.count; row += 1) {
    for (let column = 0; column < columns.count; column += 1, to += out) {
      for (let o = 0; o < out; o += 1) result[to + o] = bias[o];
      for (let i = 0; i < kh; i += 1) {
        const y = row * stride - rows.before + i;
        if (y < 0 || y >= height) continue;
        for (let j = 0; j < kw; j += 1) {
          const x = column * stride - columns.before + j;
          if (x < 0 || x >= width) continue;
          const from = (y * width + x) * channels;
          const at = (i * kw + j) * channels * out;
          for (let c = 0; c < channels; c += 1) {
            const value = data[from + c];
            if (value === 0) continue;
            const begin = at + c * out;
            for (let o = 0; o < out; o += 1) result[to + o] += value * w[begin + o];
          }
        }
      }
      if (isRelu) for (let o = to; o < to + out; o += 1) if (result[o] < 0) result[o] = 0;
    }
  }
  return { height: rows.count, width: columns.count, channels: out, data: result };
}

/** @param {Tensor} x @param {Constant} weights height, width, channels, 1 @param {{stride: number, isSame: boolean}} how @returns {Tensor} */
function depthwise({ height, width, channels, data }, { shape: [kh, kw], data: w }, { stride, isSame }) {
  const rows = windows(height, kh, stride, isSame);
  const columns = windows(width, kw, stride, isSame);
  const result = new Float32Array(rows.count * columns.count * channels);
  let to = 0;
  for (let row = 0; row < rows.count; row += 1) {
    for (let column = 0; column < columns.count; column += 1, to += channels) {
      for (let i = 0; i < kh; i += 1) {
        const y = row * stride - rows.before + i;
        if (y < 0 || y >= height) continue;
        for (let j = 0; j < kw; j += 1) {
          const x = column * stride - columns.before + j;
          if (x < 0 || x >= width) continue;
          const from = (y * width + x) * channels;
          const at = (i * kw + j) * channels;
          for (let c = 0; c < channels; c += 1) result[to + c] += data[from + c] * w[at + c];
        }
      }
    }
  }
  return { height: rows.count, width: columns.count, channels, data: result };
}

/** @param {Tensor} x @param {Tensor | null} other of the same size @param {Constant | null} bias of each channel, if there is no other @returns {Tensor} */
function added(x, other, bias) {
  const { channels, data } = x;
  if (other !== null) return { ...x, data: data.map((value, at) => value + other.data[at]) };
  if (bias === null) throw new Error("a sum without its second part");
  return { ...x, data: data.map((value, at) => value + bias.data[at % channels]) };
}

/** @param {Tensor} x @param {number} size @param {number} stride @returns {Tensor} */
function pooled({ height, width, channels, data }, size, stride) {
  const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const result = new Float32Array(rows * columns * channels).fill(-Infinity);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const to = (row * columns + column) * channels;
      for (let y = row * stride; y < Math.min(height, row * stride + size); y += 1) {
        for (let x = column * stride; x < Math.min(width, column * stride + size); x += 1) {
          const from = (y * width + x) * channels;
          for (let c = 0; c < channels; c += 1) if (data[from + c] > result[to + c]) result[to + c] = data[from + c];
        }
      }
    }
  }
  return { height: rows, width: columns, channels, data: result };
}

/** More channels, of zeros. @param {Tensor} x @param {Constant} paddings before and after each dimension @returns {Tensor} */
function padded({ height, width, channels, data }, { data: paddings }) {
  const [before, after] = paddings.slice(-2);
  if (paddings.slice(0, -2).some((one) => one !== 0)) throw new Error("a padding of another kind");
  const wide = channels + before + after;
  const result = new Float32Array(height * width * wide);
  for (let at = 0; at < height * width; at += 1) result.set(data.subarray(at * channels, (at + 1) * channels), at * wide + before);
  return { height, width, channels: wide, data: result };
}
