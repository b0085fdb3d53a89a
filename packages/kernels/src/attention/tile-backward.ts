import type { Arrays, Binding, Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { attentionUniforms, hiddenBelow, hiddenPenalty, log2e, savedStreamWgsl, scoreWgsl } from "./parameters.js";
import { attentionGradientReference } from "./reference.js";
import { attentionCost, attentionTensors, gradientBindings, type AttentionShape } from "./shape.js";
import { elementOf, keptFactor, keyPenalty, stayWgsl, tileName, tileOf, type TileSize, variantName, widthsOf } from "./tile.js";

/** The gradients a kernel computes, of the reference's. */
export function pickGradients(shape: AttentionShape, inputs: Arrays, names: readonly ("dq" | "dk" | "dv")[]): Record<string, Float64Array> {
  const gradients = attentionGradientReference(shape, inputs);
  return Object.fromEntries(names.map((name) => [name, gradients[name]]));
}

/** dq for CPU drivers: queries in the lanes, a block of keys at a time. */
export function tileQueryGradient(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, queries, heads, dim, valueDim, additive } = shape;
  const bindings: Binding[] = [...gradientBindings(shape), { ...attentionTensors(shape).q, name: "dq", access: "write" }];
  const uniforms = attentionUniforms(shape);
  const tile = tileOf(size, target);
  const { own: C, other: R, lanes, ownEach, pairEach, groupEach } = tile;
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const widths = widthsOf(shape);
  const wgsl = `${tile.enable}${declare(bindings, uniforms, { q: score, k: score, v: value, dout: value, dq: score })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(${tile.parameters}) {
  let tiles = (params.queries + ${lanes * C - 1}u) / ${lanes * C}u;
  let index = group.x + group.y * ${foldedWidth}u;
  if (index >= tiles * params.batch * params.heads) { return; }
  ${savedStreamWgsl(shape)}
  let bh = index / tiles;
  let h = bh % params.heads;
  let b = bh / params.heads;
  let factor = ${log2e} * params.scale;
  ${widths.declare}
${ownEach((c) => `
  let i${c} = index % tiles * ${lanes * C}u + ${c * lanes}u + lane;
  let query${c} = min(i${c}, params.queries - 1u);
  let row${c} = (b * params.queries + query${c}) * params.heads + h;
  let q_at${c} = row${c} * score_width;
  let o_at${c} = row${c} * value_width;
  let log_sum${c} = ${log2e} * rowStatistics[2u * (bh * params.queries + query${c})];
  let mean${c} = rowStatistics[2u * (bh * params.queries + query${c}) + 1u];`)}
  let key_end = max(params.keys, 1u);
  for (var j0 = 0u; j0 < key_end; j0 += ${R}u) {
${groupEach((g) => `
    let j_${g} = j0 + OTHER;
    let key_row${g} = b * params.keys + min(j_${g}, key_end - 1u);
    let k_at${g} = (key_row${g} * params.heads + h) * score_width;
    let v_at${g} = (key_row${g} * params.heads + h) * value_width;
    ${keyPenalty(shape, `penalty${g}`, `j_${g}`, `key_row${g}`)}`)}
${pairEach((r, c) => `${c === 0 ? `var s${r}_0 = ${tile.fromGroup("penalty", r)};` : `var s${r}_${c} = s${r}_0;`} var t${r}_${c} = 0.0;`)}
${additive === "none" ? "" : ownEach((c) => `let added_at${c} = b * params.additive_batch + h * params.additive_head + query${c} * params.keys;`) + pairEach((r, c) => `s${r}_${c} += additive(added_at${c} + min(j0 + ${r}u, key_end - 1u));`)}
${tile.products("s", { buffer: "q", at: "q_at" }, { buffer: "k", at: "k_at" }, widths.score, "factor")}
${tile.products("t", { buffer: "dout", at: "o_at" }, { buffer: "v", at: "v_at" }, widths.value)}
${stayWgsl(shape, tile, (c) => `(bh * params.queries + query${c}) * params.keys + j0`, "1u")}
${pairEach((r, c) => `let p${r}_${c} = select(exp2(s${r}_${c} - log_sum${c}), 0.0, s${r}_${c} < ${hiddenBelow}); let g${r}_${c} = params.scale * p${r}_${c} * (${keptFactor(shape, r, c)}t${r}_${c} - mean${c});`)}
${tile.weightedSum({ buffer: "dq", at: "q_at", exists: (c) => `i${c} < params.queries`, continued: "j0 > 0u" }, "g", { buffer: "k", at: "k_at" }, widths.score)}
  }
}
`;
  return {
    name: `attention.dq.${tileName(size)}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(Math.ceil(queries / (lanes * C)) * batch * heads),
    cost: attentionCost(shape, bindings, 4 * dim + 2 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq"]),
  };
}

/** dk and dv for CPU drivers: keys in the lanes, a block of queries at a time. */
export function tileKeyGradient(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, keys, heads, dim, valueDim, additive, dropout } = shape;
  const tensors = attentionTensors(shape);
  const bindings: Binding[] = [...gradientBindings(shape), { ...tensors.k, name: "dk", access: "write" }, { ...tensors.v, name: "dv", access: "write" }];
  const uniforms = attentionUniforms(shape);
  const tile = tileOf(size, target);
  const { own: C, other: R, lanes, ownEach, otherEach, groupEach } = tile;
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const widths = widthsOf(shape);
  const exists = (c: number): string => `j${c} < params.keys`;
  const wgsl = `${tile.enable}${declare(bindings, uniforms, { q: score, k: score, v: value, dout: value, dk: score, dv: value })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(${tile.parameters}) {
  let tiles = (params.keys + ${lanes * C - 1}u) / ${lanes * C}u;
  let index = group.x + group.y * ${foldedWidth}u;
  if (index >= tiles * params.batch * params.heads) { return; }
  ${savedStreamWgsl(shape)}
  let bh = index / tiles;
  let h = bh % params.heads;
  let b = bh / params.heads;
  let factor = ${log2e} * params.scale;
  ${widths.declare}
${ownEach((c) => `
  let j${c} = index % tiles * ${lanes * C}u + ${c * lanes}u + lane;
  let key${c} = min(j${c}, params.keys - 1u);
  let key_row${c} = b * params.keys + key${c};
  let k_at${c} = (key_row${c} * params.heads + h) * score_width;
  let v_at${c} = (key_row${c} * params.heads + h) * value_width;
  ${keyPenalty(shape, `penalty${c}`, `j${c}`, `key_row${c}`)}`)}
  let query_end = max(params.queries, 1u);
  for (var i0 = 0u; i0 < query_end; i0 += ${R}u) {
${groupEach((g) => `
    let i_${g} = i0 + OTHER;
    let query${g} = min(i_${g}, query_end - 1u);
    let q_at${g} = ((b * params.queries + query${g}) * params.heads + h) * score_width;
    let o_at${g} = ((b * params.queries + query${g}) * params.heads + h) * value_width;
    let beyond${g} = select(0.0, ${hiddenPenalty}, i_${g} >= params.queries);
    let log_sum${g} = ${log2e} * rowStatistics[2u * (bh * params.queries + query${g})];
    let mean${g} = rowStatistics[2u * (bh * params.queries + query${g}) + 1u];`)}
${otherEach((r) => `let beyond_${r} = ${tile.fromGroup("beyond", r)}; ${ownEach((c) => `var s${r}_${c} = beyond_${r} + penalty${c}; var t${r}_${c} = 0.0;`)}`)}
${additive === "none" ? "" : otherEach((r) => `let added_at${r} = b * params.additive_batch + h * params.additive_head + min(i0 + ${r}u, query_end - 1u) * params.keys; ${ownEach((c) => `s${r}_${c} += additive(added_at${r} + key${c});`)}`)}
${tile.products("s", { buffer: "k", at: "k_at" }, { buffer: "q", at: "q_at" }, widths.score, "factor")}
${tile.products("t", { buffer: "v", at: "v_at" }, { buffer: "dout", at: "o_at" }, widths.value)}
${stayWgsl(shape, tile, (c) => `(bh * params.queries + i0) * params.keys + key${c}`, "params.keys")}
${otherEach((r) => `let log_sum_${r} = ${tile.fromGroup("log_sum", r)}; let mean_${r} = ${tile.fromGroup("mean", r)};
${ownEach((c) => `let p${r}_${c} = select(exp2(s${r}_${c} - log_sum_${r}), 0.0, s${r}_${c} < ${hiddenBelow}); ${dropout > 0 ? `let w${r}_${c} = ${keptFactor(shape, r, c)}p${r}_${c};` : ""} let g${r}_${c} = params.scale * p${r}_${c} * (${keptFactor(shape, r, c)}t${r}_${c} - mean_${r});`)}`)}
${tile.weightedSum({ buffer: "dv", at: "v_at", exists, continued: "i0 > 0u" }, dropout > 0 ? "w" : "p", { buffer: "dout", at: "o_at" }, widths.value)}
${tile.weightedSum({ buffer: "dk", at: "k_at", exists, continued: "i0 > 0u" }, "g", { buffer: "q", at: "q_at" }, widths.score)}
  }
}
`;
  return {
    name: `attention.dkdv.${tileName(size)}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(Math.ceil(keys / (lanes * C)) * batch * heads),
    cost: attentionCost(shape, bindings, 4 * dim + 4 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dk", "dv"]),
  };
}
