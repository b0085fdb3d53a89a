import type { RegisterTile } from "./register-tile.js";
import type { MatmulShape } from "./shape.js";
import type { StridedTile } from "./strided-tile.js";

/** Tiles worth compiling: rows, columns. Still taller ones spill more than they save loads. */
const tiles: readonly (readonly [number, 1 | 2 | 4])[] = [[24, 4], [16, 4], [8, 4], [4, 4], [2, 4], [1, 4], [16, 2], [8, 2], [16, 1], [8, 1]];

/** Cycles per vector of lanes on a CPU driver, fitted to llvmpipe: a load costs as much as a dozen multiplications. */
const cycles = { load: 14, multiply: 1, spread: 1.5, tile: 300 } as const;

/** Workgroups that keep every core of a small CPU busy. */
const enoughTiles = 4;

/** Floating point operations below which a product takes less than its shader's compiler gains: such products share a shader. */
const smallProduct = 3e6;

/** Floating point operations from which the tallest tile pays for itself: a tenth less time, a third more to compile. */
const largeProduct = 4e7;

/** The tile of a product that is too small for a shader of its own; undefined for others. */
export function smallTile({ batch, m, n, k }: MatmulShape, subgroup: number): StridedTile | undefined {
  return 2 * batch * m * n * k < smallProduct ? { subgroup, laneAxis: n < 16 && m > n ? "m" : "n" } : undefined;
}

/**
 * The register tile with the least estimated time on a CPU driver. Large tiles load each element seldom but waste work at the
 * edges; few columns are spread over the lanes badly, then rows are (at the price of scattered stores).
 * @param subgroup lanes of a subgroup, 0 without subgroup operations
 */
export function chooseTile(shape: MatmulShape, subgroup: number): RegisterTile {
  const { batch, m, n, k } = shape;
  const lanes = subgroup > 0 ? subgroup : 8;
  // Without subgroups every row of a block is a load of its own, and a text of its own to compile.
  const tallest = subgroup === 0 ? 8 : 2 * batch * m * n * k < largeProduct ? 16 : 24;
  let best: RegisterTile = { rows: 8, columns: 4, subgroup, laneAxis: "n" };
  let least = Number.POSITIVE_INFINITY;
  for (const laneAxis of ["n", "m"] as const) {
    const [rowsAlong, lanesAlong] = laneAxis === "n" ? [m, n] : [n, m];
    for (const [rows, columns] of tiles) {
      if (rows > tallest) continue;
      const rowLoads = subgroup > 0 ? 4 * Math.ceil(rows / lanes) : 4 * rows;
      const spread = subgroup > 0 ? 4 * rows * cycles.spread : 0;
      const block = (rowLoads + 4 * columns) * cycles.load + 4 * rows * columns * cycles.multiply + spread;
      const stores = rows * columns * cycles.load * (laneAxis === "n" ? 1 : 2);
      const count = batch * Math.ceil(rowsAlong / rows) * Math.ceil(lanesAlong / (lanes * columns));
      const time = Math.max(count, enoughTiles) * ((block * k) / 4 + stores + cycles.tile) * (laneAxis === "n" ? 1 : 1.1);
      if (time < least) {
        least = time;
        best = { rows, columns, subgroup, laneAxis };
      }
    }
  }
  return best;
}
