import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { rowOf } from "./chunks.js";
import { attentionUniforms, keptWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionShape, attentionTensors, type AttentionOptions } from "./shape.js";

/** Invocations in a workgroup. CPU drivers run one subgroup at a time. */
export function attentionWorkgroup(target: KernelTarget): number {
  return target.class === "software" ? 8 : 64;
}

/**
 * Multi-head attention out = dropout(softmax(q k^T / sqrt(d))) v, with a softmax that runs along the keys: no [Lq, Lk] matrix is stored.
 * Bindings: q [B, Lq, H d], k [B, Lk, H d], v [B, Lk, H dv], keyPaddingMask [B, Lk] (with `mask`; nonzero: the key is ignored),
 * key [4] u32 (with `dropout`), out [B, Lq, H dv], logSumExp [B, H, Lq] (kept for the gradient; 0 for rows without any key).
 * Rows whose keys are all ignored give zeros.
 * @throws ShapeError on bad sizes
 */
export function attentionForward(options: AttentionOptions, target: KernelTarget = portableTarget): Kernel {
  const shape = attentionShape(options);
  const { batch, queries, keys, heads, dim, valueDim, mask, dropout } = shape;
  const tensors = attentionTensors(shape);
  const bindings: Binding[] = [
    tensors.q,
    tensors.k,
    tensors.v,
    ...(mask ? [tensors.keyPaddingMask] : []),
    ...(dropout > 0 ? [tensors.key] : []),
    { ...tensors.out, access: "write" },
    { ...tensors.logSumExp, access: "write" },
  ];
  const uniforms = attentionUniforms(shape);
  const row = rowOf(dim);
  const value = rowOf(valueDim);
  const workgroup = attentionWorkgroup(target);
  const wgsl = `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, out: value.element })}
${keptWgsl(shape)}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (index >= params.batch * params.heads * params.queries) { return; }
  ${streamWgsl(shape)}
  let i = index % params.queries;
  let h = index / params.queries % params.heads;
  let b = index / (params.queries * params.heads);
${row.load("q_", "q", `((b * params.queries + i) * params.heads + h) * ${dim}u`)}
${value.zero("sum")}
  var highest = -1e30;
  var total = 0.0;
  for (var j = 0u; j < params.keys; j += 1u) {
    ${mask ? "if (keyPaddingMask[b * params.keys + j] != 0.0) { continue; }" : ""}
    let at = (b * params.keys + j) * params.heads + h;
${row.load("k_", "k", `at * ${dim}u`)}
${value.load("v_", "v", `at * ${valueDim}u`)}
    // The running sums are relative to exp(highest); either they shrink or the new weight is below one.
    let score = params.scale * (${row.dot("q_", "k_")});
    let ratio = exp(-abs(score - highest));
    let shrink = select(1.0, ratio, score > highest);
    let weight = select(ratio, 1.0, score > highest);
    highest = max(highest, score);
    total = total * shrink + weight;
    let share = weight${dropout > 0 ? " * kept(stream, index * params.keys + j)" : ""};
${value.each((c) => `sum${c} = sum${c} * shrink + share * v_${c};`)}
  }
  let inverse = select(0.0, 1.0 / max(total, 1e-30), total > 0.0);
  logSumExp[index] = select(0.0, highest + log(max(total, 1e-30)), total > 0.0);
${value.store("out", `((b * params.queries + i) * params.heads + h) * ${valueDim}u`, (c) => `sum${c} * inverse`)}
}
`;
  const rows = batch * heads * queries;
  const weights = rows * keys;
  return {
    name: `attention.forward.d${dim}${mask ? ".mask" : ""}${dropout > 0 ? ".dropout" : ""}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(rows / workgroup)),
    cost: { flops: weights * (2 * dim + 2 * valueDim + 5), bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => attentionReference(shape, inputs),
  };
}
