import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { rowOf, type Row } from "./chunks.js";
import { attentionUniforms, hiddenBelow, hiddenPenalty, ln2, log2e, lowestScore, savedStreamWgsl, scoreWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionCost, attentionTensors, forwardBindings, gradientBindings, type AttentionShape } from "./shape.js";
import { pickGradients } from "./tile-backward.js";
import { variantName } from "./tile.js";

/** Invocations in a workgroup, each with a row of its own. */
const threads = 64;

/** Rows of the other side that are staged at once: as many as fit, at most half a workgroup's. */
function stagedRows(target: KernelTarget, ...rows: readonly Row[]): number {
  const bytes = rows.reduce((sum, { count }) => sum + 16 * count, 16);
  return Math.max(1, Math.min(32, Math.floor(target.limits.maxComputeWorkgroupStorageSize / bytes)));
}

/** Workgroup memory for `rows` rows. */
function declareStage(name: string, row: Row, rows: number): string {
  return `var<workgroup> ${name}: array<vec4f, ${rows * row.count}>;\n`;
}

/** Copies the rows from `first` on of the workgroup's (b, h) into workgroup memory; rows beyond the last repeat it. */
function stage(name: string, buffer: string, row: Row, rows: number, first: string, count: string): string {
  const element = (c: number): string => `select(0.0, ${buffer}[at + ${c}u], 4u * l + ${c}u < ${row.size}u)`;
  const read = row.element === "vec4f" ? `${buffer}[source * ${row.count}u + l]` : `vec4f(${[0, 1, 2, 3].map(element).join(", ")})`;
  return `
    for (var e = thread; e < ${rows * row.count}u; e += ${threads}u) {
      let l = e % ${row.count}u;
      let source = (b * params.${count} + min(${first} + e / ${row.count}u, max(params.${count}, 1u) - 1u)) * params.heads + h;
      ${row.element === "vec4f" ? "" : `let at = source * ${row.size}u + 4u * l;`}
      ${name}[e] = ${read};
    }`;
}

/** Start of `main`: the (b, h) of the workgroup and the row of the invocation. Nobody returns early, because barriers follow. */
function start(own: "queries" | "keys", index: string): string {
  return `
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tiles = (params.${own} + ${threads - 1}u) / ${threads}u;
  let tile = group.x + group.y * ${foldedWidth}u;
  if (tile >= tiles * params.batch * params.heads) { return; }
  let bh = tile / tiles;
  let h = bh % params.heads;
  let b = bh / params.heads;
  let exists = tile % tiles * ${threads}u + thread < params.${own};
  let ${index} = min(tile % tiles * ${threads}u + thread, params.${own} - 1u);
  let own_row = (b * params.${own} + ${index}) * params.heads + h;`;
}

/** WGSL expression: what is added to the score of query i and key j. */
function penalty({ mask, additive }: AttentionShape): string {
  const padding = mask ? `select(0.0, ${hiddenPenalty}, keyPaddingMask[b * params.keys + j] != 0.0)` : "0.0";
  return additive === "none" ? padding : `${padding} + additive(b * params.additive_batch + h * params.additive_head + i * params.keys + j)`;
}

const keep = ({ dropout }: AttentionShape): string => (dropout > 0 ? "kept(stream, (bh * params.queries + i) * params.keys + j) * " : "");

/** Forward kernel for GPUs: an invocation per query; 64 queries share the keys and values they stage in workgroup memory. */
export function workgroupForward(shape: AttentionShape, target: KernelTarget): Kernel {
  const { batch, queries, heads, dim, valueDim } = shape;
  const bindings = forwardBindings(shape);
  const uniforms = attentionUniforms(shape);
  const [row, value] = [rowOf(dim), rowOf(valueDim)];
  const rows = stagedRows(target, row, value);
  const wgsl = `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, out: value.element })}
${scoreWgsl(shape)}${declareStage("staged_k", row, rows)}${declareStage("staged_v", value, rows)}
${start("queries", "i")}
  ${streamWgsl(shape)}
${row.load("q_", "q", `own_row * ${dim}u`)}
${value.zero("sum")}
  var highest = ${lowestScore};
  var total = 0.0;
  for (var j0 = 0u; j0 < params.keys; j0 += ${rows}u) {
    workgroupBarrier();
${stage("staged_k", "k", row, rows, "j0", "keys")}
${stage("staged_v", "v", value, rows, "j0", "keys")}
    workgroupBarrier();
    let end = min(${rows}u, params.keys - j0);
    for (var e = 0u; e < end; e += 1u) {
      let j = j0 + e;
      let score = fma(${log2e} * params.scale, ${row.dot("q_", (c) => `staged_k[e * ${row.count}u + ${c}u]`)}, ${penalty(shape)});
      // The running sums are relative to exp2(highest); either they shrink or the new weight is below one.
      let ratio = exp2(-abs(score - highest));
      let shrink = select(1.0, ratio, score > highest);
      let weight = select(select(ratio, 1.0, score > highest), 0.0, score < ${hiddenBelow});
      highest = max(highest, score);
      total = total * shrink + weight;
      let share = ${keep(shape)}weight;
${value.each((c) => `sum${c} = sum${c} * shrink + share * staged_v[e * ${value.count}u + ${c}u];`)}
    }
  }
  if (exists) {
    let inverse = select(0.0, 1.0 / max(total, 0.5), total > 0.5);
    logSumExp[bh * params.queries + i] = select(0.0, ${ln2} * (highest + log2(max(total, 0.5))), total > 0.5);
${value.store("out", `own_row * ${valueDim}u`, (c) => `sum${c} * inverse`)}
  }
}
`;
  return {
    name: `attention.forward.workgroup.d${dim}${variantName(shape)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(queries / threads) * batch * heads),
    cost: attentionCost(shape, bindings, 2 * dim + 2 * valueDim + 5),
    reference: (inputs) => attentionReference(shape, inputs),
  };
}

/** dq for GPUs: an invocation per query; keys and values staged as in {@link workgroupForward}. */
export function workgroupQueryGradient(shape: AttentionShape, target: KernelTarget): Kernel {
  const { batch, queries, heads, dim, valueDim } = shape;
  const bindings: Binding[] = [...gradientBindings(shape), { ...attentionTensors(shape).q, name: "dq", access: "write" }];
  const uniforms = attentionUniforms(shape);
  const [row, value] = [rowOf(dim), rowOf(valueDim)];
  const rows = stagedRows(target, row, value);
  const wgsl = `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, dout: value.element, dq: row.element })}
${scoreWgsl(shape)}${declareStage("staged_k", row, rows)}${declareStage("staged_v", value, rows)}
${start("queries", "i")}
  ${savedStreamWgsl(shape)}
${row.load("q_", "q", `own_row * ${dim}u`)}
${value.load("g_", "dout", `own_row * ${valueDim}u`)}
  let log_sum = ${log2e} * rowStatistics[2u * (bh * params.queries + i)];
  let mean = rowStatistics[2u * (bh * params.queries + i) + 1u];
${row.zero("sum")}
  for (var j0 = 0u; j0 < params.keys; j0 += ${rows}u) {
    workgroupBarrier();
${stage("staged_k", "k", row, rows, "j0", "keys")}
${stage("staged_v", "v", value, rows, "j0", "keys")}
    workgroupBarrier();
    let end = min(${rows}u, params.keys - j0);
    for (var e = 0u; e < end; e += 1u) {
      let j = j0 + e;
      let score = fma(${log2e} * params.scale, ${row.dot("q_", (c) => `staged_k[e * ${row.count}u + ${c}u]`)}, ${penalty(shape)});
      let weight = select(exp2(score - log_sum), 0.0, score < ${hiddenBelow});
      let slope = weight * (${keep(shape)}(${value.dot("g_", (c) => `staged_v[e * ${value.count}u + ${c}u]`)}) - mean);
${row.each((c) => `sum${c} += slope * staged_k[e * ${row.count}u + ${c}u];`)}
    }
  }
  if (exists) {
${row.store("dq", `own_row * ${dim}u`, (c) => `params.scale * sum${c}`)}
  }
}
`;
  return {
    name: `attention.dq.workgroup.d${dim}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(Math.ceil(queries / threads) * batch * heads),
    cost: attentionCost(shape, bindings, 4 * dim + 2 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq"]),
  };
}

/** dk, dv or both for GPUs: an invocation per key; 64 keys share the queries and cotangents they stage in workgroup memory. */
export function workgroupKeyGradient(shape: AttentionShape, target: KernelTarget, wanted: readonly ("dk" | "dv")[]): Kernel {
  const { batch, keys, heads, dim, valueDim, dropout } = shape;
  const [dk, dv] = [wanted.includes("dk"), wanted.includes("dv")];
  const tensors = attentionTensors(shape);
  const bindings: Binding[] = gradientBindings(shape).filter(({ name }) => dk || name !== "v");
  if (dk) bindings.push({ ...tensors.k, name: "dk", access: "write" });
  if (dv) bindings.push({ ...tensors.v, name: "dv", access: "write" });
  const uniforms = attentionUniforms(shape);
  const [row, value] = [rowOf(dim), rowOf(valueDim)];
  const rows = stagedRows(target, row, value);
  const wgsl = `${declare(bindings, uniforms, { q: row.element, k: row.element, v: value.element, dout: value.element, dk: row.element, dv: value.element })}
${scoreWgsl(shape)}${declareStage("staged_q", row, rows)}${declareStage("staged_g", value, rows)}
var<workgroup> staged_rows: array<vec2f, ${rows}>;
${start("keys", "j")}
  ${savedStreamWgsl(shape)}
${row.load("k_", "k", `own_row * ${dim}u`)}
${dk ? value.load("v_", "v", `own_row * ${valueDim}u`) : ""}
${dk ? row.zero("sum_k") : ""}
${dv ? value.zero("sum_v") : ""}
  for (var i0 = 0u; i0 < params.queries; i0 += ${rows}u) {
    workgroupBarrier();
${stage("staged_q", "q", row, rows, "i0", "queries")}
${stage("staged_g", "dout", value, rows, "i0", "queries")}
    if (thread < ${rows}u) {
      let at = 2u * (bh * params.queries + min(i0 + thread, params.queries - 1u));
      staged_rows[thread] = vec2f(rowStatistics[at], rowStatistics[at + 1u]);
    }
    workgroupBarrier();
    let end = min(${rows}u, params.queries - i0);
    for (var e = 0u; e < end; e += 1u) {
      let i = i0 + e;
      let score = fma(${log2e} * params.scale, ${row.dot("k_", (c) => `staged_q[e * ${row.count}u + ${c}u]`)}, ${penalty(shape)});
      let weight = select(exp2(score - ${log2e} * staged_rows[e].x), 0.0, score < ${hiddenBelow});
      ${dropout > 0 ? `let stays = ${keep(shape)}1.0;` : ""}
${dk ? `let slope = weight * (${dropout > 0 ? "stays * " : ""}(${value.dot("v_", (c) => `staged_g[e * ${value.count}u + ${c}u]`)}) - staged_rows[e].y);\n${row.each((c) => `sum_k${c} += slope * staged_q[e * ${row.count}u + ${c}u];`)}` : ""}
${dv ? `let share = ${dropout > 0 ? "stays * " : ""}weight;\n${value.each((c) => `sum_v${c} += share * staged_g[e * ${value.count}u + ${c}u];`)}` : ""}
    }
  }
  if (exists) {
${dk ? row.store("dk", `own_row * ${dim}u`, (c) => `params.scale * sum_k${c}`) : ""}
${dv ? value.store("dv", `own_row * ${valueDim}u`, (c) => `sum_v${c}`) : ""}
  }
}
`;
  return {
    name: `attention.${wanted.join("")}.workgroup.d${dim}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(Math.ceil(keys / threads) * batch * heads),
    cost: attentionCost(shape, bindings, (dk ? 4 : 2) * dim + (dk && dv ? 4 : 2) * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, wanted),
  };
}
