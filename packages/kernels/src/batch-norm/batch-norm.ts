import { flatGrid, matrixGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { sumOfShares } from "../layer-norm/parameters.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { batchNormInputReference, normaliseReference, statisticsReference } from "./reference.js";
import type { BatchNormOptions, BatchNormShape } from "./reference.js";
import { blockOf, gradientShares, momentShares } from "./shares.js";

/**
 * Batch norm as in training (Ioffe and Szegedy, 2015; PyTorch's running statistics): x [outer, channels, inner], weight, bias,
 * runningMean, runningVar [channels] (and valid [outer, inner]) -> y [outer, channels, inner], mean, rstd [channels], count [1],
 * nextMean, nextVar [channels]. y = (x - mean) rstd weight + bias with the mean and the biased variance of the positions that count;
 * the running statistics move by `momentum` towards the mean and the unbiased variance, and stay when nothing counts.
 * Three stages in a fixed order: blocks, all blocks together (after Chan et al., so that an offset costs no precision), every element.
 * @throws ShapeError on bad sizes
 */
export function batchNorm(shape: BatchNormShape & BatchNormOptions, target: KernelTarget): KernelSequence {
  check("batchNorm", shape);
  const { channels, outer, masked = false } = shape;
  const blocks = Math.ceil(outer / blockOf(shape));
  return {
    name: "batchNorm",
    kernels: [
      { kernel: momentShares(shape, target), bind: { x: "x", shares: "shares", ...(masked ? { valid: "valid" } : {}) } },
      { kernel: statistics(blocks, shape, target), bind: same("shares", "runningMean", "runningVar", "mean", "rstd", "count", "nextMean", "nextVar") },
      { kernel: normalise(shape, target), bind: same("x", "mean", "rstd", "weight", "bias", "y") },
    ],
    temporaries: [{ name: "shares", dtype: "f32", length: blocks * 3 * channels }],
  };
}

/**
 * Gradients of {@link batchNorm}: x, dy [outer, channels, inner], weight, mean, rstd [channels], count [1] (and valid) ->
 * dx [outer, channels, inner], dweight, dbias [channels].
 * @throws ShapeError on bad sizes
 */
export function batchNormBackward(shape: BatchNormShape, target: KernelTarget): KernelSequence {
  check("batchNormBackward", shape);
  const { channels, outer, masked = false } = shape;
  const blocks = Math.ceil(outer / blockOf(shape));
  return {
    name: "batchNormBackward",
    kernels: [
      { kernel: gradientShares(shape, target), bind: same("x", "dy", "mean", "rstd", "shares") },
      { kernel: sumOfShares(blocks, channels, target), bind: same("shares", "dweight", "dbias") },
      { kernel: inputGradient(shape, target), bind: same("x", "dy", "weight", "mean", "rstd", "count", "dweight", "dbias", "dx", ...(masked ? ["valid"] : [])) },
    ],
    temporaries: [{ name: "shares", dtype: "f32", length: blocks * 2 * channels }],
  };
}

function check(where: string, { outer, channels, inner }: BatchNormShape): void {
  requireSizes(where, { outer, inner });
  requireSizes(where, { channels }, 1);
}

const same = (...names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((name) => [name, name]));
const perChannel = (channels: number, access: "read" | "write", ...names: readonly string[]): Binding[] => names.map((name) => ({ name, access, dtype: "f32", length: channels }));

/** All blocks together: shares [blocks, 3, channels] -> statistics [channels]. */
function statistics(blocks: number, { channels, eps = 1e-5, momentum = 0.1 }: BatchNormShape & BatchNormOptions, target: KernelTarget): Kernel {
  const lane = laneFor(channels);
  const columns = channels / laneWidth(lane);
  const plan = flatGrid(columns, target, "heavy");
  const bindings: Binding[] = [
    { name: "shares", access: "read", dtype: "f32", length: blocks * 3 * channels },
    ...perChannel(channels, "read", "runningMean", "runningVar"),
    ...perChannel(channels, "write", "mean", "rstd"),
    { name: "count", access: "write", dtype: "f32", length: 1 },
    ...perChannel(channels, "write", "nextMean", "nextVar"),
  ];
  const uniforms: UniformField[] = [
    { name: "items", type: "u32", value: columns },
    { name: "blocks", type: "u32", value: blocks },
    { name: "eps", type: "f32", value: eps },
    { name: "momentum", type: "f32", value: momentum },
  ];
  const lanes = Object.fromEntries(["shares", "runningMean", "runningVar", "mean", "rstd", "nextMean", "nextVar"].map((name) => [name, lane]));
  return {
    name: `batchNormStatistics.${laneName(lane)}`,
    wgsl:
      declare(bindings, uniforms, lanes) +
      plan.main(`
    var total = ${lane}();
    var centre = ${lane}();
    var squares = ${lane}();
    for (var number = 0u; number < params.blocks; number++) {
      let place = 3u * number * params.items + item;
      let more = shares[place];
      let off = shares[place + params.items] - centre;
      let together = max(total + more, ${lane}(1.0));
      centre += off * more / together;
      squares += shares[place + 2u * params.items] + off * off * total * more / together;
      total += more;
    }
    mean[item] = centre;
    rstd[item] = 1.0 / sqrt(squares / max(total, ${lane}(1.0)) + params.eps);
    let step = min(total, ${lane}(1.0)) * params.momentum;
    nextMean[item] = runningMean[item] + step * (centre - runningMean[item]);
    nextVar[item] = runningVar[item] + step * (squares / max(total - 1.0, ${lane}(1.0)) - runningVar[item]);
    if (item == 0u) { count[0] = total${lane === "f32" ? "" : ".x"}; }`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 10 * blocks * channels, bytes: 12 * blocks * channels },
    reference: (inputs) => statisticsReference({ blocks, channels, eps, momentum }, inputs),
  };
}

/** How elements find their channel: each column is one (inner = 1), or each row is. */
interface ElementPlan {
  readonly variant: string;
  readonly lane: string;
  readonly grid: readonly [number, number, number];
  readonly uniforms: readonly UniformField[];
  /** Lane type of values by channel. */
  readonly channelLane: string;
  /** @param setup sees `channel`; @param body sees `place`, and the index `position` into `valid` */
  main(setup: string, body: string): string;
}

function elementPlan({ outer, channels, inner }: BatchNormShape, target: KernelTarget): ElementPlan {
  const byColumn = inner === 1;
  const lane = laneFor(byColumn ? channels : inner);
  const wide = laneWidth(lane);
  const plan = byColumn ? matrixGrid(outer, channels / wide, target) : matrixGrid(outer * channels, inner / wide, target);
  return {
    variant: `${byColumn ? "column" : "row"}.${plan.variant}.${laneName(lane)}`,
    lane,
    grid: plan.grid,
    uniforms: [...plan.uniforms, { name: "channels", type: "u32", value: channels }],
    channelLane: byColumn ? lane : "f32",
    main: (setup, body) =>
      byColumn
        ? plan.main("", `    let channel = column;\n    let position = row;\n${setup}\n${body}`)
        : plan.main(`    let channel = row % params.channels;\n    let image = row / params.channels;\n${setup}`, `    let position = image * params.columns + column;\n${body}`),
  };
}

function normalise(shape: BatchNormShape, target: KernelTarget): Kernel {
  const { outer, channels, inner } = shape;
  const length = outer * channels * inner;
  const plan = elementPlan(shape, target);
  const bindings: Binding[] = [
    { name: "x", access: "read", dtype: "f32", length },
    ...perChannel(channels, "read", "mean", "rstd", "weight", "bias"),
    { name: "y", access: "write", dtype: "f32", length },
  ];
  const c = plan.channelLane;
  return {
    name: `batchNorm.${plan.variant}`,
    wgsl:
      declare(bindings, plan.uniforms, { x: plan.lane, y: plan.lane, mean: c, rstd: c, weight: c, bias: c }) +
      plan.main(
        `    let centre = mean[channel];
    let scale = rstd[channel] * weight[channel];
    let shift = bias[channel];`,
        "    y[place] = (x[place] - centre) * scale + shift;",
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 3 * length, bytes: 8 * length },
    reference: (inputs) => normaliseReference(shape, inputs),
  };
}

function inputGradient(shape: BatchNormShape, target: KernelTarget): Kernel {
  const { outer, channels, inner, masked = false } = shape;
  const length = outer * channels * inner;
  const plan = elementPlan(shape, target);
  const bindings: Binding[] = [
    { name: "x", access: "read", dtype: "f32", length },
    { name: "dy", access: "read", dtype: "f32", length },
    ...(masked ? [{ name: "valid", access: "read", dtype: "f32", length: outer * inner } as const] : []),
    ...perChannel(channels, "read", "weight", "mean", "rstd"),
    { name: "count", access: "read", dtype: "f32", length: 1 },
    ...perChannel(channels, "read", "dweight", "dbias"),
    { name: "dx", access: "write", dtype: "f32", length },
  ];
  const c = plan.channelLane;
  const whole = inner === 1 ? "f32" : plan.lane;
  const counts = masked ? `select(${whole}(), ${whole}(1.0), valid[position] > ${whole}())` : "1.0";
  return {
    name: `batchNormInputGradient.${masked ? "masked." : ""}${plan.variant}`,
    wgsl:
      declare(bindings, plan.uniforms, { x: plan.lane, dy: plan.lane, dx: plan.lane, valid: whole, weight: c, mean: c, rstd: c, dweight: c, dbias: c }) +
      plan.main(
        `    let centre = mean[channel];
    let share = 1.0 / max(count[0], 1.0);
    let scale = rstd[channel] * weight[channel];
    let shift = dbias[channel] * share;
    let tilt = dweight[channel] * rstd[channel] * share;`,
        `    dx[place] = scale * (dy[place] - ${counts} * (shift + (x[place] - centre) * tilt));`,
      ),
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: { flops: 7 * length, bytes: 12 * length },
    reference: (inputs) => batchNormInputReference(shape, inputs),
  };
}
