/**
 * A random number that depends on its counters only: the same (seed, a, b) gives the same number, in any order and
 * after any restart. 32-bit mixing of MurmurHash3 (Appleby, public domain).
 * @returns uniform in [0, 1)
 */
export function counterRandom(seed: number, a: number, b: number): number {
  let h = 0x9e3779b9 ^ Math.imul(seed | 0, 0x85ebca6b);
  for (const word of [seed, Math.floor(seed / 2 ** 32), a, b]) {
    let k = Math.imul(word | 0, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64;
  }
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return (h >>> 0) / 2 ** 32;
}

/** The numbers 0 .. count - 1 in a random order given by (seed, round). */
export function shuffledOrder(count: number, seed: number, round: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(counterRandom(seed, round, i) * (i + 1));
    const [a, b] = [order[i] ?? 0, order[j] ?? 0];
    order[i] = b;
    order[j] = a;
  }
  return order;
}
