import fc from "fast-check";

/** Sizes of {@link dims}. */
export interface DimOptions {
  /** Tile of the kernel under test: tile - 1, tile and tile + 1 are drawn often. */
  readonly tile?: number;
  readonly min?: number;
  readonly max?: number;
}

/** One dimension, with the edge cases 0, 1, odd, tile - 1, tile, tile + 1 drawn often. Shrinks towards small sizes. */
export function dims({ tile = 8, min = 0, max = 3 * tile + 2 }: DimOptions = {}): fc.Arbitrary<number> {
  const edges = [0, 1, 3, tile - 1, tile, tile + 1].filter((size) => size >= min && size <= max);
  return fc.oneof({ arbitrary: fc.integer({ min, max }), weight: 1 }, { arbitrary: fc.constantFrom(...(edges.length > 0 ? edges : [min])), weight: 2 });
}

/** Seed of the data of one case; {@link uniformData} and its siblings turn it into arrays. */
export const dataSeed: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0x7fffffff });

/** Mulberry32: uniform numbers in [0, 1) from a 32-bit seed. */
export function uniformSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` float32 numbers uniform in [low, high). */
export function uniformData(length: number, seed: number, low = -1, high = 1): Float32Array {
  const next = uniformSource(seed);
  return Float32Array.from({ length }, () => low + (high - low) * next());
}

/** `length` zeros and ones; `probability` is that of a one. */
export function maskData(length: number, seed: number, probability = 0.3): Float32Array {
  const next = uniformSource(seed ^ 0x5bd1e995);
  return Float32Array.from({ length }, () => (next() < probability ? 1 : 0));
}

/** `length` integers uniform in [0, bound). */
export function indexData(length: number, seed: number, bound: number): Uint32Array {
  const next = uniformSource(seed ^ 0x27d4eb2f);
  return Uint32Array.from({ length }, () => Math.floor(next() * bound));
}
