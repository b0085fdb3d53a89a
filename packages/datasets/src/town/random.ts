const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High 32 bits of an unsigned 32 x 32 bit product, in exact integer arithmetic. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  const crossLow = (cross % 0x10000) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(cross / 0x10000) + Math.floor(crossLow / 0x10000)) >>> 0;
}

/** Four unsigned 32-bit words. */
export type Words4 = readonly [number, number, number, number];

/**
 * The counter-based generator Philox-4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): integer arithmetic only, so the same on every machine, and free of order: any stream can be
 * read at any place without drawing what lies before it.
 * @param counter four unsigned 32-bit words
 * @param key two unsigned 32-bit words
 * @returns four unsigned 32-bit words
 */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** What a stream of random numbers is for; its value is part of the counter, so streams never overlap. */
export const STREAMS = {
  scene: 1,
  node: 2,
  edgeAcross: 3,
  edgeUp: 4,
  line: 5,
  route: 6,
  vehicle: 7,
  parking: 8,
  pedestrian: 9,
  junction: 10,
} as const;

/** A stream of random numbers: its own counter over (seed, attempt, stream, a, b). */
export class Random {
  private index = 0;
  private block: Words4 = [0, 0, 0, 0];

  /**
   * @param key seed of the scene and number of the attempt, unsigned 32-bit
   * @param stream one of STREAMS
   * @param a first index within the stream (any 32-bit integer)
   * @param b second index within the stream (any 32-bit integer)
   */
  constructor(
    private readonly key: readonly [number, number],
    private readonly stream: number,
    private readonly a = 0,
    private readonly b = 0,
  ) {}

  /** Next unsigned 32-bit word. */
  word(): number {
    if (this.index % 4 === 0) {
      this.block = philox4x32([this.index >>> 2, this.stream, this.a >>> 0, this.b >>> 0], this.key);
    }
    return this.block[this.index++ % 4] as number;
  }

  /** Next number in [0, 1). */
  uniform(): number {
    return this.word() / 0x100000000;
  }

  /** Next number in [low, high). */
  range(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Next integer in 0 .. count - 1. */
  integer(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Index drawn in proportion to the weights (at least one positive). */
  weighted(weights: readonly number[]): number {
    let rest = this.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < weights.length; i++) {
      rest -= weights[i] as number;
      if (rest < 0) return i;
    }
    return weights.length - 1;
  }
}
