import type { UniformField } from "../kernel.js";
import { randomWgsl } from "../random/threefry.js";
import type { AttentionShape } from "./shape.js";

/** Uniforms shared by all attention kernels. */
export function attentionUniforms(shape: AttentionShape): UniformField[] {
  const { batch, queries, keys, heads, dim, dropout, opId } = shape;
  return [
    { name: "batch", type: "u32", value: batch },
    { name: "queries", type: "u32", value: queries },
    { name: "keys", type: "u32", value: keys },
    { name: "heads", type: "u32", value: heads },
    { name: "op_id", type: "u32", value: opId },
    { name: "scale", type: "f32", value: 1 / Math.sqrt(dim) },
    { name: "drop_rate", type: "f32", value: dropout },
    { name: "keep_scale", type: "f32", value: 1 / (1 - dropout) },
  ];
}

/** WGSL `fn kept(stream: vec2u, weight: u32) -> f32`: 0 for a dropped attention weight, else 1 / (1 - dropout). */
export function keptWgsl({ dropout }: AttentionShape): string {
  if (dropout === 0) return "";
  return `${randomWgsl}
fn kept(stream: vec2u, weight: u32) -> f32 {
  return select(params.keep_scale, 0.0, unit_float(random_bits(stream, params.op_id, weight)) < params.drop_rate);
}
`;
}

/** Start of `main` in a kernel with dropout: the stream of this seed and step. */
export function streamWgsl({ dropout }: AttentionShape): string {
  return dropout === 0 ? "" : "let stream = random_stream(vec4u(key[0], key[1], key[2], key[3]));";
}
