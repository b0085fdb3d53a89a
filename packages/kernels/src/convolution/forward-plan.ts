import type { Candidate, KernelSequence, KernelStep, KernelTarget, Temporary } from "../kernel.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { arrange, arrangedStrides, arrangedWidth, type Arrangement } from "./arrange.js";
import type { Convolution } from "./geometry.js";
import { pointwiseBackwardInput, pointwiseForward } from "./pointwise.js";
import { registerWalk } from "./register-walk.js";
import { registerLanes, rowsFor, staged } from "./tile.js";
import { foldTaps, forwardWalk, inverseWalk, type Walk } from "./walk.js";
import { vectorAxis } from "./walk-weights.js";
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
  const registers = rowsFor(walk.width).map((rows): Candidate => ({ name: `register${rows}`, build: () => registerPlan(name, walk, names, rows, target) }));
  const workgroup: Candidate = { name: "workgroup", build: () => ({ name, kernels: [step(workgroupWalk(name, walk.depth < staged.depth ? foldTaps(walk) : walk), names)], temporaries: [] }) };
  const [preferred, ...others] = target.class === "software" ? [...registers, workgroup] : [workgroup, ...registers];
  const candidates: [Candidate, ...Candidate[]] = [preferred ?? workgroup, ...others];
  const { batch, groups, y, x } = c;
  const key = `${name} ${[batch, y.outSize, x.outSize, c.channels, c.outChannels].map(sizeBucket).join("x")} k${y.taps}x${x.taps} s${y.stride}x${x.stride} g${sizeBucket(groups)}`;
  if (pointwise === undefined) return chooseCandidate(target, key, candidates);
  // A matrix product reads neighbouring columns as vectors; where rows are not whole vectors the register tile, which spreads channels, is faster.
  const matmulFirst = target.class === "gpu" || walk.source.channel === 1 || (walk.source.channel % 4 === 0);
  return chooseCandidate(target, key, matmulFirst ? [pointwise, ...candidates] : [...candidates, pointwise]);
}

function step(kernel: KernelStep["kernel"], names: Names): KernelStep {
  const tensors: Readonly<Record<string, string>> = names;
  return { kernel, bind: Object.fromEntries(kernel.bindings.map((binding) => [binding.name, tensors[binding.name] ?? binding.name])) };
}

/** Uses of each number of a tensor from which a copy in another order pays. */
const worthCopying = 128;

/** A walk behind copies of its tensors. */
interface Copied {
  readonly walk: Walk;
  readonly names: Names;
  readonly steps: readonly KernelStep[];
  readonly temporaries: readonly Temporary[];
}

/** The walk on a copy of the source with channels side by side, each group padded with zeros to whole vectors; or the walk as it is. */
function channelsLast({ walk, names, steps, temporaries }: Copied): Copied {
  const { batch, groups, depth, width, y, x } = walk;
  if (walk.source.channel === 1 || depth < 4 || y.taps * x.taps * width < worthCopying) return { walk, names, steps, temporaries };
  const { image, y: row, x: pixel, channel } = walk.source;
  const common = { width: depth, columns: 4, length: walk.sourceLength } as const;
  // Copies are fast along their fourth axis.
  const arrangement: Arrangement = groups === 1
    ? { ...common, sizes: [batch, 1, y.source, x.source], strides: [image, 0, row, pixel, channel] }
    : { ...common, sizes: [batch, y.source, x.source, groups], strides: [image, row, pixel, depth * channel, channel] };
  const ownGroup = arrangedWidth(arrangement);
  const ownPixel = groups * ownGroup;
  const ownRow = x.source * ownPixel;
  const ownImage = y.source * ownRow;
  const length = batch * ownImage;
  return {
    walk: { ...walk, depth: ownGroup, sourceLength: length, source: { image: ownImage, y: ownRow, x: ownPixel, channel: 1 } },
    names: { ...names, source: "pixels" },
    steps: [...steps, { kernel: arrange(arrangement), bind: { x: names.source, y: "pixels" } }],
    temporaries: [...temporaries, { name: "pixels", dtype: "f32", length }],
  };
}

/** The walk on a copy of the weight with source channels side by side, padded like those of the source; or the walk as it is, where its weight has vectors already. */
function stepsLast({ walk, names, steps, temporaries }: Copied, natural: Walk): Copied {
  const pixels = walk.batch * walk.y.result * walk.x.result;
  const { weight, depth, width, groups } = walk;
  if (depth % 4 !== 0 || (depth === natural.depth && (vectorAxis(walk) !== "none" || pixels < worthCopying))) return { walk, names, steps, temporaries };
  const arrangement: Arrangement = {
    sizes: [groups, walk.y.taps, walk.x.taps, width], width: natural.depth, columns: 4, length: weight.length,
    strides: [weight.group, weight.y, weight.x, weight.lane, weight.depth],
  };
  const [group, y, x, lane] = arrangedStrides(arrangement);
  const length = groups * group;
  return {
    walk: { ...walk, weight: { lane, depth: 1, group, y, x, length } },
    names: { ...names, weight: "arranged" },
    steps: [...steps, { kernel: arrange(arrangement), bind: { x: names.weight, y: "arranged" } }],
    temporaries: [...temporaries, { name: "arranged", dtype: "f32", length }],
  };
}

/** A register walk, behind copies of source and weight where it could not read them as vectors. */
function registerPlan(name: string, natural: Walk, external: Names, rows: number, target: KernelTarget): KernelSequence {
  const { walk, names, steps, temporaries } = stepsLast(channelsLast({ walk: natural, names: external, steps: [], temporaries: [] }), natural);
  const kernel = registerWalk(name, walk, { ...registerLanes(target), rows });
  return { name, kernels: [...steps, step(kernel, names)], temporaries };
}
