import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { rowOf } from "./chunks.js";
import { attentionUniforms, keptWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionShape, attentionTensors, type AttentionOptions } from "./shape.js";

/** Keys whose scores share one rescaling of the running sums. */
const chunk = 4;

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
  const steps = Array.from({ length: chunk }, (_, s) => s);
  const wgsl = `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, out: value.element })}
${keptWgsl(shape)}
const ignored = -1e30;
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
  var highest = ignored;
  var total = 0.0;
  for (var j0 = 0u; j0 < params.keys; j0 += ${chunk}u) {
${steps.map((s) => `
    var score${s} = ignored;
    let j${s} = j0 + ${s}u;
    let row${s} = (b * params.keys + min(j${s}, params.keys - 1u)) * params.heads + h;
    if (j${s} < params.keys${mask ? ` && keyPaddingMask[b * params.keys + j${s}] == 0.0` : ""}) {
${row.load("k_", "k", `row${s} * ${dim}u`)}
      score${s} = params.scale * (${row.dot("q_", "k_")});
    }`).join("\n")}
    let next = max(max(max(score0, score1), max(score2, score3)), highest);
    let shrink = exp(highest - next);
    highest = next;
    total *= shrink;
${value.each((c) => `sum${c} *= shrink;`)}
${steps.map((s) => `
    if (score${s} > ignored) {
      let weight = exp(score${s} - next);
      total += weight;
      let share = weight${dropout > 0 ? ` * kept(stream, index * params.keys + j${s})` : ""};
${value.load("v_", "v", `row${s} * ${valueDim}u`)}
${value.each((c) => `sum${c} += share * v_${c};`)}
    }`).join("\n")}
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
