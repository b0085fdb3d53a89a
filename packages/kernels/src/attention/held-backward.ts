import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { heldOf } from "./held.js";
import { attentionUniforms, hiddenBelow, log2e, savedStreamWgsl, scoreWgsl } from "./parameters.js";
import { attentionCost, attentionTensors, gradientBindings, type AttentionShape } from "./shape.js";
import { pickGradients } from "./tile-backward.js";
import { keptFactor, keyPenalty, stayWgsl, type TileSize } from "./tile.js";

/**
 * The whole gradient in one kernel for CPU drivers with subgroups: 5 products, while kernels for dq and for dk and dv make 7. A workgroup
 * per (batch, head) holds a block of keys and values and the sums of their gradients, and walks along the queries, which are in the lanes
 * for the scores; dq passes through memory, a row per vector of lanes, always in the same order.
 */
export function heldBackward(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, heads, dim, valueDim, mask, additive } = shape;
  const tensors = attentionTensors(shape);
  const bindings: Binding[] = [
    ...gradientBindings(shape),
    ...[{ ...tensors.q, name: "dq" }, { ...tensors.k, name: "dk" }, { ...tensors.v, name: "dv" }].map((binding) => ({ ...binding, access: "write" as const })),
  ];
  const uniforms = attentionUniforms(shape);
  const held = heldOf(shape, size, target);
  const { own: C, other: R, lanes: L, ownEach, otherEach, pairEach, groupEach, chunkEach } = held;
  const exists = (g: number): string => `j_${g} < min(params.keys, j0 + ${R}u)`;
  // Where keys are ignored the loop along the queries starts at a number that the language cannot see to be the same in all lanes.
  const wgsl = `${mask ? "diagnostic(off, subgroup_uniformity);\n" : ""}${held.enable}${declare(bindings, uniforms, { q: "vec4f", k: "vec4f", v: "vec4f", dout: "vec4f", dq: "vec4f", dk: "vec4f", dv: "vec4f" })}
${scoreWgsl(shape)}
@compute @workgroup_size(${L})
fn main(${held.parameters}) {
  let bh = group.x + group.y * ${foldedWidth}u;
  if (bh >= params.batch * params.heads) { return; }
  ${savedStreamWgsl(shape)}
  let h = bh % params.heads;
  let b = bh / params.heads;
  let factor = ${log2e} * params.scale;
  ${held.places}
  let key_end = max(params.keys, 1u);
  let query_end = max(params.queries, 1u);
  for (var j0 = 0u; j0 < key_end; j0 += ${R}u) {
${groupEach((g) => `
    let j_${g} = j0 + OTHER;
    let key_row${g} = b * params.keys + min(j_${g}, key_end - 1u);
    let k_at${g} = (key_row${g} * params.heads + h) * score_width;
    let v_at${g} = (key_row${g} * params.heads + h) * value_width;
    ${keyPenalty(shape, `penalty${g}`, `j_${g}`, `key_row${g}`)}`)}
${otherEach((r) => `let penalty_${r} = ${held.fromGroup("penalty", r)};`)}
${held.hold("k", "score")} ${held.hold("dk", "score")} ${held.hold("v", "value")} ${held.hold("dv", "value")}
${held.take("k", "k", "k_at", "score")}
${held.take("v", "v", "v_at", "value")}
    ${mask ? `var open = penalty0; ${groupEach((g) => `open = max(open, penalty${g});`)} ${held.laneMax("open")}` : ""}
    // Keys that are all ignored add nothing; the first block sets dq all the same.
    for (var first = ${mask ? `select(query_end, 0u, j0 == 0u || open > ${hiddenBelow})` : "0u"}; first < query_end; first += ${L * C}u) {
${ownEach((c) => `
      let i${c} = first + ${c * L}u + lane;
      let query${c} = min(i${c}, query_end - 1u);
      let q_at${c} = ((b * params.queries + query${c}) * params.heads + h) * score_width;
      let o_at${c} = ((b * params.queries + query${c}) * params.heads + h) * value_width;
      // Queries beyond the end weigh nothing.
      let log_sum${c} = select(1e30, ${log2e} * rowStatistics[2u * (bh * params.queries + query${c})], i${c} < params.queries);
      let mean${c} = rowStatistics[2u * (bh * params.queries + query${c}) + 1u];`)}
${pairEach((r, c) => `var s${r}_${c} = penalty_${r}; var t${r}_${c} = 0.0;`)}
${additive === "none" ? "" : ownEach((c) => `let added_at${c} = b * params.additive_batch + h * params.additive_head + query${c} * params.keys;`) + pairEach((r, c) => `s${r}_${c} += additive(added_at${c} + min(j0 + ${r}u, key_end - 1u));`)}
${held.heldProducts("s", { buffer: "q", at: "q_at" }, "k", "score", "factor")}
${held.heldProducts("t", { buffer: "dout", at: "o_at" }, "v", "value")}
${stayWgsl(shape, held, (c) => `(bh * params.queries + query${c}) * params.keys + j0`, "1u")}
${pairEach((r, c) => `let p${r}_${c} = select(exp2(s${r}_${c} - log_sum${c}), 0.0, s${r}_${c} < ${hiddenBelow}); let w${r}_${c} = ${keptFactor(shape, r, c)}p${r}_${c}; let g${r}_${c} = params.scale * p${r}_${c} * (${keptFactor(shape, r, c)}t${r}_${c} - mean${c});`)}
      for (var s = 0u; s < ${L}u; s += 1u) {
${ownEach((c) => `
        let row${c} = (b * params.queries + min(first + ${c * L}u + s, query_end - 1u)) * params.heads + h;
${chunkEach("score", (u) => `let q_${c}_${u} = q[row${c} * score_width + x_score${u}]; var dq_${c}_${u} = vec4f();`)}
${chunkEach("value", (u) => `let o_${c}_${u} = dout[row${c} * value_width + x_value${u}];`)}`)}
        if (j0 > 0u) { ${ownEach((c) => chunkEach("score", (u) => `dq_${c}_${u} = dq[row${c} * score_width + x_score${u}];`))} }
${pairEach((r, c) => `{ let g = vec4f(subgroupShuffle(g${r}_${c}, s)); let w = vec4f(subgroupShuffle(w${r}_${c}, s));
${chunkEach("score", (u) => `dk${r}_${u} = fma(g, q_${c}_${u}, dk${r}_${u}); dq_${c}_${u} = fma(g, k${r}_${u}, dq_${c}_${u});`)} ${chunkEach("value", (u) => `dv${r}_${u} = fma(w, o_${c}_${u}, dv${r}_${u});`)} }`)}
${ownEach((c) => `if (first + ${c * L}u + s < params.queries) { ${chunkEach("score", (u) => `if (${held.inRow("score", u)}) { dq[row${c} * score_width + x_score${u}] = dq_${c}_${u}; }`)} }`)}
      }
    }
${held.give("dk", "dk", "k_at", "score", exists)}
${held.give("dv", "dv", "v_at", "value", exists)}
  }
}
`;
  return {
    name: `attention.backward.${held.suffix}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(batch * heads),
    cost: attentionCost(shape, bindings, 6 * dim + 4 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq", "dk", "dv"]),
  };
}
