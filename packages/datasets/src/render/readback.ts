import { tileOrigin, type SheetLayout } from "./sheets.js";
import { NEAR } from "./view.js";

/** Which sheets go where. */
export interface TileCopy {
  readonly layout: SheetLayout;
  /** Number of sheets. */
  readonly count: number;
  /** Sample of the output that the first sheet becomes. */
  readonly first: number;
  /** Texels from one row of a sheet to the next. */
  readonly rowLength: number;
}

/**
 * Takes sheets apart into images.
 *
 * @param texels rgba8 texels of the sheets, red in the lowest byte
 * @param colors [N, V, H, W, 3], receives the samples from `first` on
 * @param copy what to copy
 */
export function copyColorTiles(texels: Uint32Array, colors: Uint8Array, copy: TileCopy): void {
  const { width } = copy.layout;
  forEachRow(copy, (from, pixel) => {
    let to = pixel * 3;
    for (let i = from; i < from + width; i++) {
      const texel = texels[i] ?? 0;
      colors[to++] = texel & 255;
      colors[to++] = (texel >>> 8) & 255;
      colors[to++] = (texel >>> 16) & 255;
    }
  });
}

/**
 * Takes depth sheets apart into metres.
 *
 * @param values reversed depths: NEAR / m, 0 at infinity
 * @param depths [N, V, H, W] m, receives the samples from `first` on; 0 is sky
 * @param copy what to copy
 */
export function copyDepthTiles(values: Float32Array, depths: Float32Array, copy: TileCopy): void {
  const { width } = copy.layout;
  forEachRow(copy, (from, pixel) => {
    for (let i = 0; i < width; i++) {
      const value = values[from + i] ?? 0;
      depths[pixel + i] = value > 0 ? NEAR / value : 0;
    }
  });
}

/** Visits every image row with its first texel in the sheets and its first pixel in the output. */
function forEachRow({ layout, count, first, rowLength }: TileCopy, visit: (from: number, pixel: number) => void): void {
  const { width, height, views } = layout;
  for (let sample = 0; sample < count; sample++) {
    for (let view = 0; view < views; view++) {
      const [x, y] = tileOrigin(layout, view);
      const image = (first + sample) * views + view;
      for (let row = 0; row < height; row++) visit((sample * layout.sheetHeight + y + row) * rowLength + x, (image * height + row) * width);
    }
  }
}
