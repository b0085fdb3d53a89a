/** Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), in WGSL and, bit for bit, in TypeScript. */

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const parity = 0x1bd11bda;

/**
 * Threefry-2x32-20: scrambles a 64-bit counter under a 64-bit key.
 * @returns two independent uniform 32-bit unsigned integers
 */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): readonly [number, number] {
  const keys = [key0 >>> 0, key1 >>> 0, (key0 ^ key1 ^ parity) >>> 0] as const;
  let x0 = (counter0 + keys[0]) >>> 0;
  let x1 = (counter1 + keys[1]) >>> 0;
  for (let round = 0; round < 20; round++) {
    const rotation = rotations[(round % 8) as 0];
    x0 = (x0 + x1) >>> 0;
    x1 = (((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0) >>> 0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + keys[(injection % 3) as 0]) >>> 0;
      x1 = (x1 + keys[((injection + 1) % 3) as 0] + injection) >>> 0;
    }
  }
  return [x0, x1];
}

/** A random key as kernels read it from their binding `key`: u32[4] = seed (low, high), step (low, high). */
export type RandomKey = ArrayLike<number>;

/**
 * The random bits of one element of one op: what `random_bits(random_stream(key), opId, index)` gives in WGSL.
 * @param key (seedLo, seedHi, stepLo, stepHi)
 * @param opId which random op of the graph asks
 * @param index element index, < 2^32
 * @returns a uniform 32-bit unsigned integer
 */
export function randomBits(key: RandomKey, opId: number, index: number): number {
  const [k0, k1] = randomStream(key);
  return threefry2x32(k0, k1, index, opId)[0];
}

/** The key of one (seed, step): the pair under which every op's counters are scrambled. */
export function randomStream(key: RandomKey): readonly [number, number] {
  return threefry2x32(key[0] ?? 0, key[1] ?? 0, key[2] ?? 0, key[3] ?? 0);
}

/** Uniform number in [0, 1) from 32 random bits: its upper 24 bits, exact in float32. */
export function unitFloat(bits: number): number {
  return (bits >>> 8) * 2 ** -24;
}

/** Packs a seed and a step, both non-negative safe integers, into a random key. */
export function randomKey(seed: number, step: number): Uint32Array {
  return Uint32Array.of(seed >>> 0, Math.floor(seed / 2 ** 32), step >>> 0, Math.floor(step / 2 ** 32));
}

/** The four rounds between two key injections, unrolled. */
function roundsWgsl(first: number): string {
  const lines = rotations.slice(first, first + 4).map((rotation) => `  x.x += x.y; x.y = ((x.y << ${rotation}u) | (x.y >> ${32 - rotation}u)) ^ x.x;`);
  return lines.join("\n");
}

/**
 * WGSL functions `threefry(key: vec2u, counter: vec2u) -> vec2u`, `random_stream(key: vec4u) -> vec2u`,
 * `random_bits(stream: vec2u, op_id: u32, index: u32) -> u32` and `unit_float(bits: u32) -> f32` in [0, 1).
 */
export const randomWgsl = `
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let k2 = key.x ^ key.y ^ ${parity}u;
  var x = counter + key;
${roundsWgsl(0)}
  x += vec2u(key.y, k2 + 1u);
${roundsWgsl(4)}
  x += vec2u(k2, key.x + 2u);
${roundsWgsl(0)}
  x += vec2u(key.x, key.y + 3u);
${roundsWgsl(4)}
  x += vec2u(key.y, k2 + 4u);
${roundsWgsl(0)}
  x += vec2u(k2, key.x + 5u);
  return x;
}
fn random_stream(key: vec4u) -> vec2u { return threefry(key.xy, key.zw); }
fn random_bits(stream: vec2u, op_id: u32, index: u32) -> u32 { return threefry(stream, vec2u(index, op_id)).x; }
fn unit_float(bits: u32) -> f32 { return f32(bits >> 8u) * 5.9604644775390625e-8; }
`;
