import type { Candidate, KernelSequence, KernelStep, KernelTarget } from "../kernel.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { arrange, arrangedStrides, type Arrangement } from "./arrange.js";
import type { Convolution } from "./geometry.js";
import { pointwiseBackwardInput, pointwiseForward } from "./pointwise.js";
import { registerWalk } from "./register-walk.js";
import { columnsFor, registerLanes, staged, tileCost } from "./tile.js";
import { foldTaps, forwardWalk, inverseWalk, type Walk } from "./walk.js";
import { workgroupWalk } from "./workgroup-walk.js";

/** Names of a walk's tensors outside. */
type Names = Readonly<Record<"source" | "weight" | "bias" | "result", string>>;

/** Convolution: out = activation(x * weight + bias). Tensors: x, weight, bias (where asked for), out, in the layouts of `c`; temporary: arranged. */
export function convolutionForward(c: Convolution, target: KernelTarget): KernelSequence {
  return plan(`${c.name}.forward`, c, forwardWalk(c), { source: "x", weight: "weight", bias: "bias", result: "out" }, target, pointwiseForward(c, target));
}

/** Gradient to the input. Tensors: dout (the gradient before the activation), weight, dx; temporary: arranged. */
export function convolutionBackwardInput(c: Convolution, target: KernelTarget): KernelSequence {
  return plan(`${c.name}.backwardInput`, c, inverseWalk(c), { source: "dout", weight: "weight", bias: "bias", result: "dx" }, target, pointwiseBackwardInput(c, target));
}

/** Chooses among a matrix product (where the convolution is one), register tiles and the workgroup tile. */
function plan(name: string, c: Convolution, walk: Walk, names: Names, target: KernelTarget, pointwise: Candidate | undefined): KernelSequence {
  const registers = tilesByCost(walk).map((pixels): Candidate => ({ name: `register${pixels}`, build: () => registerPlan(name, walk, names, pixels, target) }));
  const workgroup: Candidate = { name: "workgroup", build: () => ({ name, kernels: [step(workgroupWalk(name, walk.depth < staged.depth ? foldTaps(walk) : walk), names, "weight")], temporaries: [] }) };
  const [preferred, ...others] = target.class === "software" ? [...registers, workgroup] : [workgroup, ...registers];
  const candidates: [Candidate, ...Candidate[]] = [preferred ?? workgroup, ...others];
  const { batch, groups, y, x } = c;
  const key = `${name} ${[batch, y.outSize, x.outSize, c.channels, c.outChannels].map(sizeBucket).join("x")} k${y.taps}x${x.taps} s${y.stride}x${x.stride} g${sizeBucket(groups)}`;
  if (pointwise === undefined) return chooseCandidate(target, key, candidates);
  // A matrix product reads neighbouring columns as vectors; where rows are not whole vectors the register tile, which spreads channels, is faster.
  const matmulFirst = target.class === "gpu" || walk.source.channel === 1 || (walk.source.channel % 4 === 0);
  return chooseCandidate(target, key, matmulFirst ? [pointwise, ...candidates] : [...candidates, pointwise]);
}

/** Pixels per lane, the cheapest first: the last tile of a row may be partly idle. */
function tilesByCost({ x }: Walk): number[] {
  const count = Math.ceil(x.result / x.divide);
  return [16, 8, 4].sort((a, b) => tileCost(count, a) - tileCost(count, b));
}

function step(kernel: KernelStep["kernel"], names: Names, weight: string): KernelStep {
  const tensors: Readonly<Record<string, string>> = { ...names, weight };
  return { kernel, bind: Object.fromEntries(kernel.bindings.map((binding) => [binding.name, tensors[binding.name] ?? binding.name])) };
}

/** Channels, and uses of each of their values, from which a copy of the source pays: a lane's loads then come from neighbours in memory, not from one cache line each. */
const worthCopying = { depth: 64, uses: 128 } as const;

/** The walk on a source with channels side by side, and the step that copies it so; or the walk as it is. */
function channelsLast(walk: Walk, source: string): { walk: Walk; steps: KernelStep[]; length: number } {
  const { batch, groups, depth, width, y, x } = walk;
  if (walk.source.channel === 1 || depth < worthCopying.depth || y.taps * x.taps * width < worthCopying.uses) return { walk, steps: [], length: 0 };
  const { image, y: row, x: pixel, channel } = walk.source;
  const arrangement: Arrangement = { sizes: [batch, 1, y.source, x.source], width: groups * depth, columns: 1, length: walk.sourceLength, strides: [image, 0, row, pixel, channel] };
  const [arrangedImage, , arrangedRow, arrangedPixel] = arrangedStrides(arrangement);
  const strides = { image: arrangedImage, y: arrangedRow, x: arrangedPixel, channel: 1 };
  return { walk: { ...walk, source: strides }, steps: [{ kernel: arrange(arrangement), bind: { x: source, y: "pixels" } }], length: walk.sourceLength };
}

/** A register walk, behind a copy of the weight with result channels side by side unless they lie so already. */
function registerPlan(name: string, natural: Walk, names: Names, pixels: number, target: KernelTarget): KernelSequence {
  const { walk, steps, length: copied } = channelsLast(natural, names.source);
  const plan = weightPlan(name, walk, copied > 0 ? { ...names, source: "pixels" } : names, pixels, target);
  return copied > 0 ? { ...plan, kernels: [...steps, ...plan.kernels], temporaries: [...plan.temporaries, { name: "pixels", dtype: "f32", length: copied }] } : plan;
}

function weightPlan(name: string, walk: Walk, names: Names, pixels: number, target: KernelTarget): KernelSequence {
  const lanes = registerLanes(target);
  const columns = columnsFor(walk.width, lanes.lanes);
  const fold = (w: Walk): Walk => (w.depth % lanes.lanes === 0 ? w : foldTaps(w));
  const { weight, width } = walk;
  const distances = [weight.depth, weight.group, weight.y, weight.x];
  if (weight.lane === 1 && width % columns === 0 && distances.every((distance) => distance % columns === 0)) {
    return { name, kernels: [step(registerWalk(name, fold(walk), { ...lanes, pixels, columns }), names, names.weight)], temporaries: [] };
  }
  const arrangement: Arrangement = {
    sizes: [walk.groups, walk.y.taps, walk.x.taps, walk.depth], width, columns, length: weight.length,
    strides: [weight.group, weight.y, weight.x, weight.depth, weight.lane],
  };
  const [group, y, x, depth] = arrangedStrides(arrangement);
  const length = walk.groups * group;
  const arranged = fold({ ...walk, weight: { lane: 1, depth, group, y, x, length } });
  return {
    name,
    kernels: [
      { kernel: arrange(arrangement), bind: { x: names.weight, y: "arranged" } },
      step(registerWalk(name, arranged, { ...lanes, pixels, columns }), names, "arranged"),
    ],
    temporaries: [{ name: "arranged", dtype: "f32", length }],
  };
}

