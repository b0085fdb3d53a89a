import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { heldName, heldOf } from "./held.js";
import { attentionUniforms, hiddenBelow, log2e, savedStreamWgsl, scoreWgsl } from "./parameters.js";
import { attentionCost, attentionTensors, gradientBindings, type AttentionShape } from "./shape.js";
import { pickGradients } from "./tile-backward.js";
import { keptFactor, keyPenalty, type TileSize, variantName } from "./tile.js";

/**
 * The whole gradient in one kernel for CPU drivers with subgroups: 5 products, while kernels for dq and for dk and dv make 7. A workgroup
 * per (batch, head) holds a block of keys and values and the sums of their gradients, and walks along the queries; dq passes through memory,
 * a row per vector of lanes, always in the same order.
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
  const { lanes: L, other: R, otherEach, groupEach, chunkEach, fromGroup } = held;
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
${held.hold({ spread: "k", turned: "kt" }, "score")} ${held.hold({ turned: "vt" }, "value")}
${held.hold({ spread: "dk" }, "score")} ${held.hold({ spread: "dv" }, "value")}
${held.take({ spread: "k", turned: "kt" }, "k", "k_at", "score")}
${held.take({ turned: "vt" }, "v", "v_at", "value")}
    ${mask ? `var open = penalty0; ${groupEach((g) => `open = max(open, penalty${g});`)} ${held.laneMax("open")}` : ""}
    // Keys that are all ignored add nothing; the first block sets dq all the same.
    for (var first = ${mask ? `select(query_end, 0u, j0 == 0u || open > ${hiddenBelow})` : "0u"}; first < query_end; first += ${L}u) {
      let statistics = 2u * (bh * params.queries + min(first + lane, query_end - 1u));
      let log_sums = ${log2e} * rowStatistics[statistics];
      let means = rowStatistics[statistics + 1u];
      for (var x = 0u; x < min(${L}u, params.queries - first); x += 1u) {
        let row = (b * params.queries + first + x) * params.heads + h;
${chunkEach("score", (u) => `let q_${u} = q[row * score_width + x_score${u}]; let scaled_${u} = factor * q_${u}; var dq_${u} = vec4f();`)}
${chunkEach("value", (u) => `let o_${u} = dout[row * value_width + x_value${u}];`)}
        if (j0 > 0u) { ${chunkEach("score", (u) => `dq_${u} = dq[row * score_width + x_score${u}];`)} }
        let log_sum = subgroupShuffle(log_sums, x);
        let mean = subgroupShuffle(means, x);
${groupEach((g) => `var s${g} = penalty${g}; var t${g} = 0.0;`)}
${additive === "none" ? "" : `let added_at = b * params.additive_batch + h * params.additive_head + (first + x) * params.keys; ${groupEach((g) => `s${g} += additive(added_at + min(j_${g}, key_end - 1u));`)}`}
${held.turnedProducts("s", "scaled", "kt", "score")}
${held.turnedProducts("t", "o", "vt", "value")}
${held.turnedStay("(bh * params.queries + first + x) * params.keys + j0 + lane")}
${groupEach((g) => `let p${g} = select(exp2(s${g} - log_sum), 0.0, s${g} < ${hiddenBelow}); let w${g} = ${keptFactor(shape, g, 0)}p${g}; let d${g} = params.scale * p${g} * (${keptFactor(shape, g, 0)}t${g} - mean);`)}
${otherEach((r) => `{ let d = vec4f(${fromGroup("d", r)}); let w = vec4f(${fromGroup("w", r)}); ${chunkEach("score", (u) => `dk${r}_${u} = fma(d, q_${u}, dk${r}_${u}); dq_${u} = fma(d, k${r}_${u}, dq_${u});`)} ${chunkEach("value", (u) => `dv${r}_${u} = fma(w, o_${u}, dv${r}_${u});`)} }`)}
        ${chunkEach("score", (u) => `if (${held.inRow("score", u)}) { dq[row * score_width + x_score${u}] = dq_${u}; }`)}
      }
    }
${held.give("dk", "dk", "k_at", "score", exists)}
${held.give("dv", "dv", "v_at", "value", exists)}
  }
}
`;
  return {
    // The products are unrolled: the text is that of one head dimension.
    name: `attention.backward.${heldName(size)}.${dim}.${valueDim}${variantName(shape)}`,
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(batch * heads),
    cost: attentionCost(shape, bindings, 6 * dim + 4 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq", "dk", "dv"]),
  };
}
