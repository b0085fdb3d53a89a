/** One pixel a sample reads: its row in the features, its bilinear share, and the share's derivatives to the position in pixels. */
export interface Corner {
  readonly row: number;
  readonly share: number;
  readonly slopeX: number;
  readonly slopeY: number;
}

/** A position in a feature map. */
export interface BilinearSample {
  /** Number of the sample, which orders the samples of a cell. */
  readonly entry: number;
  /** Number of the cell it lies in, over all images and levels. */
  readonly bin: number;
  /** Where in the cell. */
  readonly fraction: readonly [number, number];
  /** The pixels inside the map. */
  readonly corners: readonly Corner[];
}

/** The sample at (x, y) pixels of a map whose pixels and cells begin at `firstRow` and `firstCell`; the position lies less than a pixel outside, or inside. */
export function sampleAt(
  { entry, x, y }: { readonly entry: number; readonly x: number; readonly y: number },
  { height, width, firstRow, firstCell }: { readonly height: number; readonly width: number; readonly firstRow: number; readonly firstCell: number },
): BilinearSample {
  const [cx, cy] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [x - cx, y - cy];
  const corners: Corner[] = [];
  for (const [dy, shareY, signY] of [[0, 1 - fy, -1], [1, fy, 1]] as const) {
    for (const [dx, shareX, signX] of [[0, 1 - fx, -1], [1, fx, 1]] as const) {
      if (cx + dx < 0 || cx + dx >= width || cy + dy < 0 || cy + dy >= height) continue;
      corners.push({ row: firstRow + (cy + dy) * width + cx + dx, share: shareX * shareY, slopeX: signX * shareY, slopeY: signY * shareX });
    }
  }
  return { entry, bin: firstCell + (cy + 1) * (width + 1) + cx + 1, fraction: [fx, fy], corners };
}
