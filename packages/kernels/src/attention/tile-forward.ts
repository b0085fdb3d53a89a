import type { Kernel, KernelTarget } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { attentionUniforms, hiddenBelow, ln2, log2e, lowestScore, scoreWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionCost, forwardBindings, type AttentionShape } from "./shape.js";
import { elementOf, keptFactor, keyPenalty, stayWgsl, tileName, tileOf, type TileSize, variantName, widthsOf } from "./tile.js";

/** Forward kernel for CPU drivers: queries in the lanes, a block of keys at a time, one rescaling per block. */
export function tileForward(shape: AttentionShape, size: TileSize, target: KernelTarget): Kernel {
  const { batch, queries, keys, heads, dim, valueDim, additive, dropout } = shape;
  // One block holds all keys: there is nothing to continue, and to ask at every vector costs a tenth of the time.
  const once = keys <= size.other;
  const bindings = forwardBindings(shape);
  const uniforms = attentionUniforms(shape);
  const tile = tileOf(size, target);
  const { own: C, other: R, lanes, ownEach, otherEach, pairEach, groupEach } = tile;
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const widths = widthsOf(shape);
  const share = dropout > 0 ? "w" : "p";
  const wgsl = `${tile.enable}${declare(bindings, uniforms, { q: score, k: score, v: value, out: value })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(${tile.parameters}) {
  let tiles = (params.queries + ${lanes * C - 1}u) / ${lanes * C}u;
  let index = group.x + group.y * ${foldedWidth}u;
  if (index >= tiles * params.batch * params.heads) { return; }
  ${streamWgsl(shape)}
  let bh = index / tiles;
  let h = bh % params.heads;
  let b = bh / params.heads;
  ${widths.declare}
${ownEach((c) => `
  let i${c} = index % tiles * ${lanes * C}u + ${c * lanes}u + lane;
  let query${c} = min(i${c}, params.queries - 1u);
  let row${c} = (b * params.queries + query${c}) * params.heads + h;
  let q_at${c} = row${c} * score_width;
  let o_at${c} = row${c} * value_width;
  var highest${c} = ${lowestScore};
  var total${c} = 0.0;`)}
  let key_end = max(params.keys, 1u);
  ${once ? "{ let j0 = 0u;" : `for (var j0 = 0u; j0 < key_end; j0 += ${R}u) {`}
${groupEach((g) => `
    let j_${g} = j0 + OTHER;
    let key_row${g} = b * params.keys + min(j_${g}, key_end - 1u);
    let k_at${g} = (key_row${g} * params.heads + h) * score_width;
    let v_at${g} = (key_row${g} * params.heads + h) * value_width;
    ${keyPenalty(shape, `penalty${g}`, `j_${g}`, `key_row${g}`)}`)}
${pairEach((r, c) => (c === 0 ? `var s${r}_0 = ${tile.fromGroup("penalty", r)};` : `var s${r}_${c} = s${r}_0;`))}
${additive === "none" ? "" : additiveLines()}
    let factor = ${log2e} * params.scale;
${tile.products("s", { buffer: "q", at: "q_at" }, { buffer: "k", at: "k_at" }, widths.score, "factor")}
${ownEach((c) => `
    var top${c} = highest${c};
${otherEach((r) => `    top${c} = max(top${c}, s${r}_${c});`)}
    let shrink${c} = exp2(highest${c} - top${c});
    highest${c} = top${c};
    total${c} *= shrink${c};
${otherEach((r) => `    let p${r}_${c} = select(exp2(s${r}_${c} - top${c}), 0.0, s${r}_${c} < ${hiddenBelow}); total${c} += p${r}_${c};`)}
    let last${c} = select(1.0, select(0.0, 1.0 / max(total${c}, 0.5), total${c} > 0.5), j0 + ${R}u >= params.keys);`)}
${stayWgsl(shape, tile, (c) => `(bh * params.queries + query${c}) * params.keys + j0`, "1u")}
${dropout > 0 ? pairEach((r, c) => `let w${r}_${c} = ${keptFactor(shape, r, c)}p${r}_${c};`) : ""}
${tile.weightedSum({ buffer: "out", at: "o_at", exists: (c) => `i${c} < params.queries`, continued: once ? undefined : "j0 > 0u" }, share, { buffer: "v", at: "v_at" }, widths.value, { before: "shrink", after: "last" })}
  }
${ownEach((c) => `if (i${c} < params.queries) { logSumExp[bh * params.queries + i${c}] = select(0.0, ${ln2} * (highest${c} + log2(max(total${c}, 0.5))), total${c} > 0.5); }`)}
}
`;
  return {
    name: `attention.forward.${tileName(size)}${once ? ".once" : ""}${variantName(shape)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(queries / (lanes * C)) * batch * heads),
    cost: attentionCost(shape, bindings, 2 * dim + 2 * valueDim + 5),
    reference: (inputs) => attentionReference(shape, inputs),
  };

  function additiveLines(): string {
    return `
${ownEach((c) => `let added_at${c} = b * params.additive_batch + h * params.additive_head + query${c} * params.keys;`)}
${pairEach((r, c) => `s${r}_${c} += additive(added_at${c} + min(j0 + ${r}u, key_end - 1u));`)}`;
  }
}
