import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { heldRows } from "../row-grid-held.js";
import type { HeldPlan } from "../row-grid-held.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { layerNormBackward, layerNormBackwardBindings, layerNormBackwardRow } from "./layer-norm.js";
import type { LayerNormOptions, LayerNormShape } from "./layer-norm.js";
import { layerNormBackwardParameters, sumOfShares } from "./parameters.js";
import { layerNormBackwardReference, layerNormSharesReference } from "./reference.js";

/** Blocks of rows whose shares are added up in the end: enough to keep the cores of a CPU busy. */
const blocksWanted = 64;

/**
 * All gradients of a layer norm: x [rows, width], weight [width], mean [rows], rstd [rows], dy [rows, width] (and dsum, see
 * {@link layerNormBackward}) -> dx [rows, width], dweight [width], dbias [width]. On CPU drivers the kernel of dx also sums the
 * parameters' shares of its rows, which saves reading x and dy again; elsewhere subgroups are too many for that.
 * @throws ShapeError on bad sizes
 */
export function layerNormGradients(shape: LayerNormShape & Pick<LayerNormOptions, "residual">, target: KernelTarget): KernelSequence {
  const { rows, width } = shape;
  requireSizes("layerNormGradients", { rows });
  requireSizes("layerNormGradients", { width }, 1);
  const plan = target.class === "software" && rows > 0 ? heldRows(rows, width, target, undefined, Math.max(4, Math.ceil(rows / blocksWanted))) : undefined;
  if (plan === undefined) {
    const dx = layerNormBackward(shape, target);
    const parameters = layerNormBackwardParameters(shape, target);
    const bind = Object.fromEntries(dx.bindings.map(({ name }) => [name, name]));
    return { name: "layerNormGradients", kernels: [{ kernel: dx, bind }, ...parameters.kernels], temporaries: parameters.temporaries };
  }
  const first = heldGradients(shape, plan);
  return {
    name: "layerNormGradients",
    kernels: [
      { kernel: first, bind: Object.fromEntries(first.bindings.map(({ name }) => [name, name])) },
      { kernel: sumOfShares(plan.groups, width, target), bind: { shares: "shares", dweight: "dweight", dbias: "dbias" } },
    ],
    temporaries: [{ name: "shares", dtype: "f32", length: plan.groups * 2 * width }],
  };
}

function heldGradients({ rows, width, residual = false }: LayerNormShape & Pick<LayerNormOptions, "residual">, plan: HeldPlan): Kernel {
  const length = rows * width;
  const bindings = [...layerNormBackwardBindings({ rows, width, residual }), { name: "shares", access: "write", dtype: "f32", length: plan.groups * 2 * width }] as const;
  const uniforms = [...plan.uniforms, { name: "elements", type: "f32", value: width }] as const;
  const { lane } = plan;
  return {
    name: `${residual ? "layerNormResidualGradients" : "layerNormGradients"}.${plan.variant}`,
    wgsl:
      plan.head +
      declare(bindings, uniforms, { x: lane, weight: lane, dy: lane, dsum: lane, dx: lane, shares: lane }) +
      plan.main(
        (text) => `${text.carry({ weighted: `${lane}()`, plain: `${lane}()` })}${layerNormBackwardRow(plan, text, residual)}
    ${text.store("weighted += raw * off * scale; plain += raw;")}
    ${text.after("shares[2u * group * params.width + i] = weighted; shares[(2u * group + 1u) * params.width + i] = plain;")}`,
      ),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 16 * length, bytes: (residual ? 16 : 12) * length },
    reference: (inputs) => ({ ...layerNormBackwardReference({ rows, width, residual }, inputs), ...layerNormSharesReference({ rows, width, block: plan.turns }, inputs) }),
  };
}
