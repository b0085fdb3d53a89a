import type { Candidate, Kernel, KernelSequence, KernelStep, KernelTarget } from "../kernel.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { arrange, arrangedStrides, type Arrangement } from "./arrange.js";
import type { Convolution } from "./geometry.js";
import { pointwiseBackwardWeight } from "./pointwise.js";
import { registerWeight } from "./register-weight.js";
import { slicesOf, summed } from "./slices.js";
import { columnsFor, registerLanes, staged, tileCost } from "./tile.js";
import { foldRows, weightWalk, type WeightWalk } from "./weight-walk.js";
import { workgroupWeight } from "./workgroup-weight.js";

/**
 * Gradient to the weight, summed in a fixed order. Tensors: x, dout (the gradient before the activation), dweight; temporaries: parts, arranged.
 * Chooses among a matrix product (where the convolution is one), register tiles and the workgroup tile.
 */
export function convolutionBackwardWeight(c: Convolution, target: KernelTarget): KernelSequence {
  const name = `${c.name}.backwardWeight`;
  const { rowWidth } = weightWalk(c);
  const tiles = [16, 8, 4].sort((a, b) => tileCost(rowWidth, a) - tileCost(rowWidth, b));
  const registers = tiles.map((rows): Candidate => ({ name: `register${rows}`, build: () => registerPlan(name, c, rows, target) }));
  const workgroup: Candidate = { name: "workgroup", build: () => workgroupPlan(name, c, target) };
  const families = target.class === "software" ? [...registers, workgroup] : [workgroup, ...registers];
  const pointwise = pointwiseBackwardWeight(c, target);
  const matmulFirst = target.class === "gpu" || c.input.channel === 1;
  const [preferred, ...others] = pointwise === undefined ? families : matmulFirst ? [pointwise, ...families] : [...families, pointwise];
  const { batch, groups, y, x } = c;
  const key = `${name} ${[batch, y.outSize, x.outSize, c.channels, c.outChannels].map(sizeBucket).join("x")} k${y.taps}x${x.taps} s${y.stride}x${x.stride} g${sizeBucket(groups)}`;
  return chooseCandidate(target, key, [preferred ?? workgroup, ...others]);
}

/** The walk in as many slices as the device wants, for a tile of `rows` x `columns` channels. */
function sliced(c: Convolution, walk: WeightWalk, rows: number, columns: number, target: KernelTarget): WeightWalk {
  const workgroups = walk.groups * Math.ceil(walk.laneWidth / columns) * Math.ceil(walk.rowWidth / rows) * walk.y.taps * walk.x.taps;
  const { slices, length } = slicesOf(walk.positions, workgroups, c.channels + c.outChannels, walk.weight.length, target);
  return { ...walk, slices, sliceLength: length };
}

/** Tensor names by binding for a kernel of the product. */
function bound(kernel: Kernel, walk: WeightWalk, laneOperand: string): KernelSequence {
  const names: Readonly<Record<string, string>> = { lane_operand: laneOperand, row_operand: walk.lanesOverInput ? "dout" : "x", dweight: "dweight" };
  const sequence = summed(kernel.name, kernel, "dweight", walk.slices, walk.weight.length);
  const bind = (step: KernelStep): KernelStep => ({ kernel: step.kernel, bind: Object.fromEntries(Object.entries(step.bind).map(([binding, tensor]) => [binding, names[tensor] ?? tensor])) });
  return { ...sequence, kernels: sequence.kernels.map(bind) };
}

const laneTensor = (walk: WeightWalk): string => (walk.lanesOverInput ? "x" : "dout");

function workgroupPlan(name: string, c: Convolution, target: KernelTarget): KernelSequence {
  const natural = weightWalk(c);
  const walk = sliced(c, natural.rowWidth < staged.rows ? foldRows(natural) : natural, staged.rows, staged.columns, target);
  return bound(workgroupWeight(name, walk), walk, laneTensor(walk));
}

/** A register product, behind a copy of the lanes' tensor with channels side by side unless they lie so already. */
function registerPlan(name: string, c: Convolution, rows: number, target: KernelTarget): KernelSequence {
  const natural = weightWalk(c);
  const lanes = registerLanes(target);
  const columns = columnsFor(natural.laneWidth, lanes.lanes);
  const folded = natural.rowWidth % rows === 0 ? natural : foldRows(natural);
  const walk = sliced(c, folded, rows, columns * lanes.lanes, target);
  const { lane, laneWidth } = walk;
  const whole = columns === 1 || (lane.channel === 1 && [laneWidth, lane.image, lane.y, lane.x, lane.group].every((distance) => distance % columns === 0));
  if (whole) return bound(registerWeight(name, walk, { ...lanes, rows, columns }), walk, laneTensor(walk));

  const [height, width] = walk.lanesOverInput ? [c.y.size, c.x.size] : [c.y.outSize, c.x.outSize];
  const arrangement: Arrangement = { sizes: [c.batch, c.groups, height, width], width: laneWidth, columns, length: lane.length, strides: [lane.image, lane.group, lane.y, lane.x, lane.channel] };
  const [image, group, y, x] = arrangedStrides(arrangement);
  const length = c.batch * image;
  const arranged = { ...walk, lane: { image, group, y, x, channel: 1, length } };
  const product = bound(registerWeight(name, arranged, { ...lanes, rows, columns }), arranged, "arranged");
  return {
    ...product,
    name,
    kernels: [{ kernel: arrange(arrangement), bind: { x: laneTensor(walk), y: "arranged" } }, ...product.kernels],
    temporaries: [...product.temporaries, { name: "arranged", dtype: "f32", length }],
  };
}
