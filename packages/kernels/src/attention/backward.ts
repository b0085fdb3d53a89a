import type { Arrays, Binding, Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { portableTarget } from "../target.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { rowOf } from "./chunks.js";
import { attentionWorkgroup } from "./forward.js";
import { attentionUniforms, keptWgsl, streamWgsl } from "./parameters.js";
import { attentionGradientReference } from "./reference.js";
import { attentionShape, attentionTensors, type AttentionOptions, type AttentionShape } from "./shape.js";

const empty = new Float64Array();

/**
 * Gradient of attention. Scores and dropped weights are computed again from q, k, logSumExp and the random key; nothing is [Lq, Lk].
 * Tensors read: q, k, v, out, logSumExp, dout [B, Lq, H dv], keyPaddingMask (with `mask`), key (with `dropout`);
 * written: dq [B, Lq, H d], dk [B, Lk, H d], dv [B, Lk, H dv]; temporary: rowStatistics [B, H, Lq, 2].
 * Rows without a key and keys that are ignored get zeros.
 * @throws ShapeError on bad sizes
 */
export function attentionBackward(options: AttentionOptions, target: KernelTarget = portableTarget): KernelSequence {
  const shape = attentionShape(options);
  const statistics = rowStatistics(shape, target);
  const dq = queryGradient(shape, target);
  const fused = keyGradient(shape, target, ["dk", "dv"]);
  const fits = fused.bindings.length <= target.limits.maxStorageBuffersPerShaderStage;
  const keyKernels = fits ? [fused] : [keyGradient(shape, target, ["dk"]), keyGradient(shape, target, ["dv"])];
  return {
    name: `attention.backward.d${shape.dim}`,
    kernels: [statistics, dq, ...keyKernels].map((kernel) => ({
      kernel,
      bind: Object.fromEntries(kernel.bindings.map(({ name }) => [name, name])),
    })),
    temporaries: [{ name: "rowStatistics", dtype: "f32", length: attentionTensors(shape).rowStatistics.length }],
  };
}

/** Per row of scores: its logSumExp and the product of out and dout, side by side so that one binding serves both. */
function rowStatistics(shape: AttentionShape, target: KernelTarget): Kernel {
  const { batch, queries, heads, valueDim } = shape;
  const { out, logSumExp, rowStatistics: statistics } = attentionTensors(shape);
  const bindings: Binding[] = [out, { ...out, name: "dout" }, logSumExp, { ...statistics, access: "write" }];
  const uniforms = attentionUniforms(shape);
  const value = rowOf(valueDim);
  const workgroup = attentionWorkgroup(target);
  const rows = batch * heads * queries;
  return {
    name: "attention.rowStatistics",
    bindings,
    uniforms,
    wgsl: `${declare(bindings, uniforms, { out: value.element, dout: value.element })}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (index >= params.batch * params.heads * params.queries) { return; }
  let i = index % params.queries;
  let h = index / params.queries % params.heads;
  let b = index / (params.queries * params.heads);
  let start = ((b * params.queries + i) * params.heads + h) * ${valueDim}u;
${value.load("o", "out", "start")}
${value.load("g", "dout", "start")}
  rowStatistics[2u * index] = logSumExp[index];
  rowStatistics[2u * index + 1u] = ${value.dot("o", "g")};
}
`,
    grid: foldedGrid(Math.ceil(rows / workgroup)),
    cost: { flops: 2 * out.length, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference({ out: o = empty, dout = empty, logSumExp: lse = empty }) {
      const result = new Float64Array(2 * rows);
      for (let index = 0; index < rows; index++) {
        const i = index % queries;
        const h = Math.floor(index / queries) % heads;
        const b = Math.floor(index / (queries * heads));
        let dot = 0;
        for (let c = 0; c < valueDim; c++) {
          const at = ((b * queries + i) * heads + h) * valueDim + c;
          dot += (o[at] ?? 0) * (dout[at] ?? 0);
        }
        result[2 * index] = lse[index] ?? 0;
        result[2 * index + 1] = dot;
      }
      return { rowStatistics: result };
    },
  };
}

/** Bindings both gradient kernels start with. */
function gradientInputs(shape: AttentionShape, withValues: boolean): Binding[] {
  const { q, k, v, keyPaddingMask, key, out, rowStatistics: statistics } = attentionTensors(shape);
  return [q, k, ...(withValues ? [v] : []), ...(shape.mask ? [keyPaddingMask] : []), ...(shape.dropout > 0 ? [key] : []), statistics, { ...out, name: "dout" }];
}

/** Floating point operations and bytes of a gradient kernel that spends `perWeight` operations on each attention weight. */
function gradientCost(shape: AttentionShape, bindings: readonly Binding[], perWeight: number): Kernel["cost"] {
  const weights = shape.batch * shape.heads * shape.queries * shape.keys;
  return { flops: weights * perWeight, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) };
}

function pick(gradients: ReturnType<typeof attentionGradientReference>, names: readonly ("dq" | "dk" | "dv")[]): Record<string, Float64Array> {
  return Object.fromEntries(names.map((name) => [name, gradients[name]]));
}

/** dq: one invocation per (batch, head, query) walks along the keys. */
function queryGradient(shape: AttentionShape, target: KernelTarget): Kernel {
  const { batch, queries, heads, dim, valueDim, mask, dropout } = shape;
  const bindings: Binding[] = [...gradientInputs(shape, true), { ...attentionTensors(shape).q, name: "dq", access: "write" }];
  const uniforms = attentionUniforms(shape);
  const row = rowOf(dim);
  const value = rowOf(valueDim);
  const workgroup = attentionWorkgroup(target);
  return {
    name: `attention.dq.d${dim}`,
    bindings,
    uniforms,
    wgsl: `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, dout: value.element, dq: row.element })}
${keptWgsl(shape)}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (index >= params.batch * params.heads * params.queries) { return; }
  ${streamWgsl(shape)}
  let i = index % params.queries;
  let h = index / params.queries % params.heads;
  let b = index / (params.queries * params.heads);
  let query = (b * params.queries + i) * params.heads + h;
${row.load("q_", "q", `query * ${dim}u`)}
${value.load("g_", "dout", `query * ${valueDim}u`)}
  let log_sum = rowStatistics[2u * index];
  let mean = rowStatistics[2u * index + 1u];
${row.zero("sum")}
  for (var j = 0u; j < params.keys; j += 1u) {
    ${mask ? "if (keyPaddingMask[b * params.keys + j] != 0.0) { continue; }" : ""}
    let at = (b * params.keys + j) * params.heads + h;
${row.load("k_", "k", `at * ${dim}u`)}
${value.load("v_", "v", `at * ${valueDim}u`)}
    let weight = exp(params.scale * (${row.dot("q_", "k_")}) - log_sum);
    let slope = weight * ((${value.dot("g_", "v_")})${dropout > 0 ? " * kept(stream, index * params.keys + j)" : ""} - mean);
${row.each((c) => `sum${c} += slope * k_${c};`)}
  }
${row.store("dq", `query * ${dim}u`, (c) => `params.scale * sum${c}`)}
}
`,
    grid: foldedGrid(Math.ceil((batch * heads * queries) / workgroup)),
    cost: gradientCost(shape, bindings, 4 * dim + 2 * valueDim + 5),
    reference: (inputs: Arrays) => pick(attentionGradientReference(shape, inputs), ["dq"]),
  };
}

/** dk, dv or both: one invocation per (batch, head, key) walks along the queries. */
function keyGradient(shape: AttentionShape, target: KernelTarget, wanted: readonly ("dk" | "dv")[]): Kernel {
  const { batch, keys, heads, dim, valueDim, mask, dropout } = shape;
  const [dk, dv] = [wanted.includes("dk"), wanted.includes("dv")];
  const tensors = attentionTensors(shape);
  const bindings: Binding[] = gradientInputs(shape, dk);
  if (dk) bindings.push({ ...tensors.k, name: "dk", access: "write" });
  if (dv) bindings.push({ ...tensors.v, name: "dv", access: "write" });
  const uniforms = attentionUniforms(shape);
  const row = rowOf(dim);
  const value = rowOf(valueDim);
  const workgroup = attentionWorkgroup(target);
  return {
    name: `attention.${wanted.join("")}.d${dim}`,
    bindings,
    uniforms,
    wgsl: `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, dout: value.element, dk: row.element, dv: value.element })}
${keptWgsl(shape)}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  if (index >= params.batch * params.heads * params.keys) { return; }
  ${streamWgsl(shape)}
  let j = index % params.keys;
  let h = index / params.keys % params.heads;
  let b = index / (params.keys * params.heads);
  let at = (b * params.keys + j) * params.heads + h;
${row.load("k_", "k", `at * ${dim}u`)}
${dk ? value.load("v_", "v", `at * ${valueDim}u`) : ""}
${dk ? row.zero("sum_k") : ""}
${dv ? value.zero("sum_v") : ""}
  let queries = ${mask ? "select(params.queries, 0u, keyPaddingMask[b * params.keys + j] != 0.0)" : "params.queries"};
  for (var i = 0u; i < queries; i += 1u) {
    let query = (b * params.queries + i) * params.heads + h;
    let row = (b * params.heads + h) * params.queries + i;
${row.load("q_", "q", `query * ${dim}u`)}
${value.load("g_", "dout", `query * ${valueDim}u`)}
    let weight = exp(params.scale * (${row.dot("q_", "k_")}) - rowStatistics[2u * row]);
    ${dropout > 0 ? "let keep = kept(stream, row * params.keys + j);" : ""}
${dk ? `let slope = weight * ((${value.dot("g_", "v_")})${dropout > 0 ? " * keep" : ""} - rowStatistics[2u * row + 1u]);\n${row.each((c) => `sum_k${c} += slope * q_${c};`)}` : ""}
${dv ? `let share = weight${dropout > 0 ? " * keep" : ""};\n${value.each((c) => `sum_v${c} += share * g_${c};`)}` : ""}
  }
${dk ? row.store("dk", `at * ${dim}u`, (c) => `params.scale * sum_k${c}`) : ""}
${dv ? value.store("dv", `at * ${valueDim}u`, (c) => `sum_v${c}`) : ""}
}
`,
    grid: foldedGrid(Math.ceil((batch * heads * keys) / workgroup)),
    cost: gradientCost(shape, bindings, (dk ? 4 : 2) * dim + (dk && dv ? 4 : 2) * valueDim + 5),
    reference: (inputs: Arrays) => pick(attentionGradientReference(shape, inputs), wanted),
  };
}
