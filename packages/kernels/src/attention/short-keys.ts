import type { Binding, Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { attentionUniforms, hiddenBelow, log2e, scoreWgsl, streamWgsl } from "./parameters.js";
import { attentionCost, attentionTensors, maskBindings, type AttentionShape } from "./shape.js";
import { pickGradients } from "./tile-backward.js";
import { elementOf, keptFactor, keyPenalty, stayWgsl, tileName, tileOf, type TileSize, variantName, widthsOf } from "./tile.js";

/** Keys that {@link shortKeysBackward} takes at most. */
export const mostShortKeys = 8;

/**
 * The whole gradient in one kernel for CPU drivers and at most {@link mostShortKeys} keys: a workgroup per (batch, head) meets all keys
 * at once, so the mean slope of a row needs no other pass. Queries are in the lanes for scores and dq, channels for dk and dv.
 * Reads q, k, v, logSumExp, dout, masks and key (not out); writes dq, dk, dv.
 */
export function shortKeysBackward(shape: AttentionShape, target: KernelTarget): KernelSequence {
  const kernel = shortKeysKernel(shape, { own: 3, other: shape.keys <= 4 ? 4 : mostShortKeys }, target);
  const twice: Readonly<Record<string, string>> = { q_scalar: "q", dout_scalar: "dout" };
  return { name: kernel.name, kernels: [{ kernel, bind: Object.fromEntries(kernel.bindings.map(({ name }) => [name, twice[name] ?? name])) }], temporaries: [] };
}

function shortKeysKernel(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, heads, dim, valueDim, additive, dropout } = shape;
  const { q, k, v, key, out, logSumExp } = attentionTensors(shape);
  const dout = { ...out, name: "dout" };
  // q and dout are read in whole vectors where queries are in the lanes, by the channel where channels are.
  const bindings: Binding[] = [
    ...[q, { ...q, name: "q_scalar" }, k, v, ...maskBindings(shape), ...(dropout > 0 ? [key] : []), logSumExp, dout, { ...dout, name: "dout_scalar" }],
    ...[{ ...q, name: "dq" }, { ...k, name: "dk" }, { ...v, name: "dv" }].map((binding) => ({ ...binding, access: "write" as const })),
  ];
  const uniforms = attentionUniforms(shape);
  const tile = tileOf(size, target);
  const { own: C, lanes, ownEach, otherEach, pairEach, groupEach } = tile;
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const widths = widthsOf(shape);
  const exists = (c: number): string => `i${c} < params.queries`;
  const share = dropout > 0 ? "w" : "p";
  const eachLane = (line: (s: number) => string): string => Array.from({ length: lanes }, (_, s) => line(s)).join("\n");

  /** `into[key r] += sum over the queries of the block of weight * from[query]`, a channel a lane. */
  const keySums = (into: string, weight: string, from: string, width: string): string => `for (var l = 0u; l < ${width}; l += ${lanes}u) {
  let channel = min(l + lane, ${width} - 1u);
${otherEach((r) => `var a${r} = 0.0; let at${r} = ((b * params.keys + min(${r}u, key_end - 1u)) * params.heads + h) * ${width} + channel;`)}
  if (first > 0u) { ${otherEach((r) => `a${r} = ${into}[at${r}];`)} }
${ownEach((c) => eachLane((s) => `{ let e = ${from}[((b * params.queries + min(first + ${c * lanes + s}u, query_end - 1u)) * params.heads + h) * ${width} + channel];
${otherEach((r) => `a${r} = fma(subgroupBroadcast(${weight}${r}_${c}, ${s}u), e, a${r});`)} }`))}
  if (l + lane < ${width}) { ${otherEach((r) => `if (${r}u < params.keys) { ${into}[at${r}] = a${r}; }`)} }
}`;
  const wgsl = `${tile.enable}${declare(bindings, uniforms, { q: score, k: score, v: value, dout: value, dq: score })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(${tile.parameters}) {
  let bh = group.x + group.y * ${foldedWidth}u;
  if (bh >= params.batch * params.heads) { return; }
  ${streamWgsl(shape)}
  let h = bh % params.heads;
  let b = bh / params.heads;
  let factor = ${log2e} * params.scale;
  ${widths.declare}
  let key_end = max(params.keys, 1u);
  let query_end = max(params.queries, 1u);
${groupEach((g) => `
  let j_${g} = OTHER;
  let key_row${g} = b * params.keys + min(j_${g}, key_end - 1u);
  let k_at${g} = (key_row${g} * params.heads + h) * score_width;
  let v_at${g} = (key_row${g} * params.heads + h) * value_width;
  ${keyPenalty(shape, `penalty${g}`, `j_${g}`, `key_row${g}`)}`)}
  for (var first = 0u; first < query_end; first += ${lanes * C}u) {
${ownEach((c) => `
    let i${c} = first + ${c * lanes}u + lane;
    let query${c} = min(i${c}, query_end - 1u);
    let row${c} = (b * params.queries + query${c}) * params.heads + h;
    let q_at${c} = row${c} * score_width;
    let o_at${c} = row${c} * value_width;
    let log_sum${c} = ${log2e} * logSumExp[bh * params.queries + query${c}];`)}
${pairEach((r, c) => `${c === 0 ? `var s${r}_0 = ${tile.fromGroup("penalty", r)};` : `var s${r}_${c} = s${r}_0;`} var t${r}_${c} = 0.0;`)}
${additive === "none" ? "" : ownEach((c) => `let added_at${c} = b * params.additive_batch + h * params.additive_head + query${c} * params.keys;`) + pairEach((r, c) => `s${r}_${c} += additive(added_at${c} + min(${r}u, key_end - 1u));`)}
${tile.products("s", { buffer: "q", at: "q_at" }, { buffer: "k", at: "k_at" }, widths.score, "factor")}
${tile.products("t", { buffer: "dout", at: "o_at" }, { buffer: "v", at: "v_at" }, widths.value)}
${stayWgsl(shape, tile, (c) => `(bh * params.queries + query${c}) * params.keys`, "1u")}
${pairEach((r, c) => `let p${r}_${c} = select(exp2(s${r}_${c} - log_sum${c}), 0.0, s${r}_${c} < ${hiddenBelow} || !(${exists(c)})); let w${r}_${c} = ${keptFactor(shape, r, c)}p${r}_${c};`)}
${ownEach((c) => `var mean${c} = 0.0; ${otherEach((r) => `mean${c} = fma(w${r}_${c}, t${r}_${c}, mean${c});`)}`)}
${pairEach((r, c) => `let g${r}_${c} = params.scale * fma(w${r}_${c}, t${r}_${c}, -p${r}_${c} * mean${c});`)}
${tile.weightedSum({ buffer: "dq", at: "q_at", exists, continued: undefined }, "g", { buffer: "k", at: "k_at" }, widths.score)}
${keySums("dv", share, "dout_scalar", "params.value_dim")}
${keySums("dk", "g", "q_scalar", "params.dim")}
  }
}
`;
  return {
    name: `attention.backward.short.${tileName(size)}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(batch * heads),
    cost: attentionCost(shape, bindings, 6 * dim + 4 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq", "dk", "dv"]),
  };
}
