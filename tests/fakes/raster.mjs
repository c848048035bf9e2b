/**
 * A canvas of which only what painting needs is here, over real pixels: fills and copies of whole
 * pixels, as the HTML standard has them for opaque colours.
 */
export class Raster {
  /** @param {number} width @param {number} height @param {(x: number, y: number) => string} [colour] of each pixel */
  constructor(width, height, colour = () => "empty") {
    this.width = width;
    this.height = height;
    this.pixels = Array.from({ length: width * height }, (_, at) => colour(at % width, Math.floor(at / width)));
    this.context = {
      fillStyle: "",
      globalAlpha: 1,
      globalCompositeOperation: "source-over",
      fillRect: (x, y, w, h) => this.#each(x, y, w, h, () => this.context.fillStyle),
      drawImage: (source, ...at) => this.#draw(source, at),
    };
  }

  at(x, y) {
    return this.pixels[y * this.width + x];
  }

  #draw(source, at) {
    const [sx, sy, w, h, dx, dy, dw, dh] = at.length === 2 ? [0, 0, source.width, source.height, ...at, source.width, source.height] : at;
    if (w !== dw || h !== dh) throw new Error("this canvas doesn't scale");
    this.#each(dx, dy, w, h, (x, y) => source.at(x - dx + sx, y - dy + sy));
  }

  #each(left, top, width, height, colour) {
    const { fillStyle, globalAlpha, globalCompositeOperation } = this.context;
    if (![left, top, width, height].every(Number.isInteger)) throw new Error("a part of a pixel would shine through");
    if (globalAlpha !== 1 || globalCompositeOperation !== "source-over") throw new Error("something would shine through");
    void fillStyle;
    for (let y = Math.max(0, top); y < Math.min(this.height, top + height); y += 1) {
      for (let x = Math.max(0, left); x < Math.min(this.width, left + width); x += 1) this.pixels[y * this.width + x] = colour(x, y);
    }
  }
}
