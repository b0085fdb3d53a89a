import type { UniformField } from "../kernel.js";
import { randomWgsl } from "../random/threefry.js";
import { additiveStrides, type AttentionShape } from "./shape.js";

/** Uniforms shared by all attention kernels. */
export function attentionUniforms(shape: AttentionShape): UniformField[] {
  const { batch, queries, keys, heads, dim, valueDim, dropout, opId } = shape;
  const additive = additiveStrides(shape);
  return [
    { name: "batch", type: "u32", value: batch },
    { name: "queries", type: "u32", value: queries },
    { name: "keys", type: "u32", value: keys },
    { name: "heads", type: "u32", value: heads },
    { name: "dim", type: "u32", value: dim },
    { name: "value_dim", type: "u32", value: valueDim },
    { name: "additive_batch", type: "u32", value: additive.batch },
    { name: "additive_head", type: "u32", value: additive.head },
    { name: "op_id", type: "u32", value: opId },
    { name: "scale", type: "f32", value: 1 / Math.sqrt(dim) },
    { name: "drop_rate", type: "f32", value: dropout },
    { name: "keep_scale", type: "f32", value: 1 / (1 - dropout) },
  ];
}

/** Scores are kept in units of log 2: exp2 is cheaper than exp, and the factor goes into the scale. */
export const log2e = Math.LOG2E.toFixed(9);
/** From log 2 units back to natural ones. */
export const ln2 = Math.LN2.toFixed(9);
/** Added to the score of a key that does not count. */
export const hiddenPenalty = "-1e30";
/** Scores below are those of hidden keys. */
export const hiddenBelow = "-5e29";
/** Where a running maximum starts: below every score that counts, above every hidden one. */
export const lowestScore = "-2e29";

/**
 * WGSL `fn kept(stream: vec2u, weight: u32) -> f32`: 0 for a dropped attention weight, else 1 / (1 - dropout);
 * and, with an additive mask, `fn additive(at: u32) -> f32`: what it adds to the score in units of log 2.
 */
export function scoreWgsl({ dropout, additive }: AttentionShape): string {
  const kept = `${randomWgsl}
fn kept(stream: vec2u, weight: u32) -> f32 {
  return select(params.keep_scale, 0.0, unit_float(random_bits(stream, params.op_id, weight)) < params.drop_rate);
}
`;
  const added = `
fn additive(at: u32) -> f32 {
  let value = additiveMask[at];
  return select(${log2e} * value, ${hiddenPenalty}, value <= -1e29);
}
`;
  return (dropout > 0 ? kept : "") + (additive === "none" ? "" : added);
}

/** Start of `main` in a forward kernel with dropout: the stream of this seed and step. */
export function streamWgsl({ dropout }: AttentionShape): string {
  return dropout === 0 ? "" : "let stream = random_stream(vec4u(key[0], key[1], key[2], key[3]));";
}

/** The same in a kernel of the gradient: the stream stands behind the row statistics, in pieces that are exact in float32. */
export function savedStreamWgsl({ dropout }: AttentionShape): string {
  if (dropout === 0) return "";
  const piece = (i: number): string => `u32(rowStatistics[stream_at + ${i}u])`;
  return `let stream_at = 2u * params.batch * params.heads * params.queries;
  let stream = vec2u(${piece(0)} | (${piece(1)} << 16u), ${piece(2)} | (${piece(3)} << 16u));`;
}
