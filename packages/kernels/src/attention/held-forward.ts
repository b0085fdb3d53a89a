import type { Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { heldOf } from "./held.js";
import { attentionUniforms, hiddenBelow, ln2, log2e, lowestScore, scoreWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionCost, forwardBindings, type AttentionShape } from "./shape.js";
import { keptFactor, keyPenalty, stayWgsl, type TileSize } from "./tile.js";

/** Scores may exceed the number they are relative to by so many powers of two before the sums are scaled anew. */
const headroom = "8.0";
/** Keys whose values meet the sums at a time: the sums are on the stack, and two keys share the way there and back. More do not fit into registers. */
const keysAtOnce = 2;

/**
 * Forward kernel for CPU drivers with subgroups: a workgroup holds a block of queries and their sums and walks along the keys, which are in
 * the lanes for the scores. Weights are relative to a score near the row's highest so far: one question per block of keys, not per row,
 * tells whether any row has outgrown it.
 */
export function heldForward(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, queries, heads, dim, valueDim, mask, additive, dropout } = shape;
  const bindings = forwardBindings(shape);
  const uniforms = attentionUniforms(shape);
  const held = heldOf(shape, size, target);
  const { own: C, other: R, lanes: L, ownEach, otherEach, pairEach, groupEach, chunkEach } = held;
  const share = dropout > 0 ? "w" : "p";
  const keyEach = (line: (x: number) => string): string => Array.from({ length: keysAtOnce }, (_, x) => line(x)).join(" ");
  // Control flow depends on a maximum over the subgroup, which is the same in all its lanes; the language cannot see that.
  const wgsl = `diagnostic(off, subgroup_uniformity);
${held.enable}${declare(bindings, uniforms, { q: "vec4f", k: "vec4f", v: "vec4f", out: "vec4f" })}
${scoreWgsl(shape)}
@compute @workgroup_size(${L})
fn main(${held.parameters}) {
  let tiles = (params.queries + ${R - 1}u) / ${R}u;
  let index = group.x + group.y * ${foldedWidth}u;
  if (index >= tiles * params.batch * params.heads) { return; }
  ${streamWgsl(shape)}
  let bh = index / tiles;
  let h = bh % params.heads;
  let b = bh / params.heads;
  let i0 = index % tiles * ${R}u;
  let factor = ${log2e} * params.scale;
  ${held.places}
${groupEach((g) => `
  let i_${g} = i0 + OTHER;
  let row${g} = (b * params.queries + min(i_${g}, params.queries - 1u)) * params.heads + h;
  let q_at${g} = row${g} * score_width;
  let o_at${g} = row${g} * value_width;`)}
${held.hold({ spread: "q" }, "score")} ${held.hold({ spread: "sum" }, "value")}
${otherEach((r) => `var highest${r} = ${lowestScore}; var total${r} = 0.0;`)}
${held.take({ spread: "q" }, "q", "q_at", "score", "factor")}
  let key_end = max(params.keys, 1u);
  for (var first = 0u; first < key_end; first += ${L * C}u) {
${ownEach((c) => `
    let j${c} = first + ${c * L}u + lane;
    let key${c} = min(j${c}, key_end - 1u);
    let key_row${c} = b * params.keys + key${c};
    let k_at${c} = (key_row${c} * params.heads + h) * score_width;
    ${keyPenalty(shape, `penalty${c}`, `j${c}`, `key_row${c}`)}`)}
${mask ? `var open = penalty0; ${ownEach((c) => `open = max(open, penalty${c});`)} ${held.laneMax("open")} if (open > ${hiddenBelow}) {` : ""}
${pairEach((r, c) => `var s${r}_${c} = penalty${c};`)}
${additive === "none" ? "" : otherEach((r) => `let added_at${r} = b * params.additive_batch + h * params.additive_head + min(i0 + ${r}u, params.queries - 1u) * params.keys; ${ownEach((c) => `s${r}_${c} += additive(added_at${r} + key${c});`)}`)}
${held.heldProducts("s", { buffer: "k", at: "k_at" }, "q", "score")}
    var growth = 0.0;
${pairEach((r, c) => `growth = max(growth, s${r}_${c} - highest${r});`)}
    ${held.laneMax("growth")}
    if (growth > ${headroom}) {
${otherEach((r) => `{ var top = highest${r}; ${ownEach((c) => `top = max(top, s${r}_${c});`)} ${held.laneMax("top")} let shrink = exp2(highest${r} - top); highest${r} = top; total${r} *= shrink; ${chunkEach("value", (u) => `sum${r}_${u} *= shrink;`)} }`)}
    }
${stayWgsl(shape, held, (c) => `(bh * params.queries + i0) * params.keys + key${c}`, "params.keys")}
${pairEach((r, c) => `let p${r}_${c} = select(exp2(s${r}_${c} - highest${r}), 0.0, s${r}_${c} < ${hiddenBelow}); total${r} += p${r}_${c}; ${dropout > 0 ? `let w${r}_${c} = ${keptFactor(shape, r, c)}p${r}_${c};` : ""}`)}
    for (var s = 0u; s < ${L}u; s += ${keysAtOnce}u) {
${keyEach((x) => ownEach((c) => `let at${c}_${x} = ((b * params.keys + min(first + ${c * L + x}u + s, key_end - 1u)) * params.heads + h) * value_width; ${chunkEach("value", (u) => `let v${c}_${x}_${u} = v[at${c}_${x} + x_value${u}];`)}`))}
${pairEach((r, c) => keyEach((x) => `{ let w = vec4f(subgroupShuffle(${share}${r}_${c}, s + ${x}u)); ${chunkEach("value", (u) => `sum${r}_${u} = fma(w, v${c}_${x}_${u}, sum${r}_${u});`)} }`))}
    }
    ${mask ? "}" : ""}
  }
${groupEach((g) => `var total_${g} = 0.0; var highest_${g} = 0.0;`)}
${otherEach((r) => `{ let here = lane == ${r % L}u; total_${Math.floor(r / L)} = select(total_${Math.floor(r / L)}, subgroupAdd(total${r}), here); highest_${Math.floor(r / L)} = select(highest_${Math.floor(r / L)}, highest${r}, here); }`)}
${groupEach((g) => `
  let exists${g} = i_${g} < min(params.queries, i0 + ${R}u);
  let inverse${g} = select(0.0, 1.0 / max(total_${g}, 0.5), total_${g} > 0.5);
  if (exists${g}) { logSumExp[bh * params.queries + i_${g}] = select(0.0, ${ln2} * (highest_${g} + log2(max(total_${g}, 0.5))), total_${g} > 0.5); }`)}
${held.give("sum", "out", "o_at", "value", (g) => `exists${g}`, "inverse")}
}
`;
  return {
    name: `attention.forward.${held.suffix}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(queries / R) * batch * heads),
    cost: attentionCost(shape, bindings, 2 * dim + 2 * valueDim + 5),
    reference: (inputs) => attentionReference(shape, inputs),
  };
}
