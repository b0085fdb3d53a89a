import type { Candidate, Kernel, KernelSequence, KernelStep, KernelTarget, Temporary } from "../kernel.js";
import { chooseCandidate, sizeBucket } from "../tuning.js";
import { arrange, arrangedStrides, type Arrangement } from "./arrange.js";
import type { Convolution } from "./geometry.js";
import { pointwiseBackwardWeight } from "./pointwise.js";
import { registerWeight } from "./register-weight.js";
import { slicesOf, summed } from "./slices.js";
import { type Columns, columnsFor, registerLanes, rowsFor, staged } from "./tile.js";
import { foldRows, type OperandStrides, weightWalk, type WeightWalk } from "./weight-walk.js";
import { workgroupWeight } from "./workgroup-weight.js";

/**
 * Gradient to the weight, summed in a fixed order. Tensors: x, dout (the gradient before the activation), dweight; temporaries: parts, lanes, rows.
 * Chooses among a matrix product (where the convolution is one), register tiles and the workgroup tile.
 */
export function convolutionBackwardWeight(c: Convolution, target: KernelTarget): KernelSequence {
  const name = `${c.name}.backwardWeight`;
  const { rowWidth } = weightWalk(c);
  const registers = rowsFor(rowWidth).map((rows): Candidate => ({ name: `register${rows}`, build: () => registerPlan(name, c, rows, target) }));
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

/** A kernel of the product with its operands bound to tensors, and the sum of its slices. */
function bound(kernel: Kernel, walk: WeightWalk, operands: { readonly lane: string; readonly row: string }): KernelSequence {
  const names: Readonly<Record<string, string>> = { lane_operand: operands.lane, row_operand: operands.row, dweight: "dweight" };
  const sequence = summed(kernel.name, kernel, "dweight", walk.slices, walk.weight.length);
  const bind = (step: KernelStep): KernelStep => ({ kernel: step.kernel, bind: Object.fromEntries(Object.entries(step.bind).map(([binding, tensor]) => [binding, names[tensor] ?? tensor])) });
  return { ...sequence, kernels: sequence.kernels.map(bind) };
}

/** Names of the lanes' and the rows' tensor. */
function operandNames(walk: WeightWalk): readonly [string, string] {
  return walk.lanesOverInput ? ["x", "dout"] : ["dout", "x"];
}

function workgroupPlan(name: string, c: Convolution, target: KernelTarget): KernelSequence {
  const natural = weightWalk(c);
  const walk = sliced(c, natural.rowWidth < staged.rows ? foldRows(natural) : natural, staged.rows, staged.columns, target);
  const [lane, row] = operandNames(walk);
  return bound(workgroupWeight(name, walk), walk, { lane, row });
}

/** A tensor of a weight gradient with channels side by side, behind the copy that makes it so: each group padded to whole vectors of `columns`. */
function channelsLast(c: Convolution, walk: WeightWalk, side: "lane" | "row", columns: Columns): { strides: OperandStrides; kernel: Kernel } {
  const { image, y, x, group, channel, length } = walk[side];
  const [height, width] = (side === "lane") === walk.lanesOverInput ? [c.y.size, c.x.size] : [c.y.outSize, c.x.outSize];
  const arrangement: Arrangement = { sizes: [c.batch, c.groups, height, width], width: side === "lane" ? walk.laneWidth : walk.rowWidth, columns, length, strides: [image, group, y, x, channel] };
  const [ownImage, ownGroup, ownY, ownX] = arrangedStrides(arrangement);
  return { strides: { image: ownImage, y: ownY, x: ownX, group: ownGroup, channel: 1, length: c.batch * ownImage }, kernel: arrange(arrangement) };
}

/** Uses of each number of the rows' tensor from which a copy with channels side by side pays. */
const worthCopying = 128;

/** A register product, behind copies of the tensors whose channels do not lie side by side. */
function registerPlan(name: string, c: Convolution, rows: number, target: KernelTarget): KernelSequence {
  const natural = weightWalk(c);
  const lanes = registerLanes(target);
  const columns = columnsFor(natural.laneWidth, lanes.lanes);
  const folded = natural.rowWidth % rows === 0 ? natural : foldRows(natural);
  const { lane, laneWidth, row, rowWidth, ...walk } = sliced(c, folded, rows, columns * lanes.lanes, target);
  const whole = columns === 1 || (lane.channel === 1 && [laneWidth, lane.image, lane.y, lane.x, lane.group].every((distance) => distance % columns === 0));
  const copies = {
    lane: whole ? undefined : channelsLast(c, folded, "lane", columns),
    row: row.channel === 1 || rowWidth % 4 !== 0 || walk.y.taps * walk.x.taps * laneWidth < worthCopying ? undefined : channelsLast(c, folded, "row", 4),
  };
  const product = { ...walk, laneWidth, rowWidth, lane: copies.lane?.strides ?? lane, row: copies.row?.strides ?? row };
  const [laneTensor, rowTensor] = operandNames(product);
  const sequence = bound(registerWeight(name, product, { ...lanes, rows, columns }), product, { lane: copies.lane ? "lanes" : laneTensor, row: copies.row ? "rows" : rowTensor });
  const steps: KernelStep[] = [];
  const temporaries: Temporary[] = [];
  for (const [copy, from, to] of [[copies.lane, laneTensor, "lanes"], [copies.row, rowTensor, "rows"]] as const) {
    if (copy === undefined) continue;
    steps.push({ kernel: copy.kernel, bind: { x: from, y: to } });
    temporaries.push({ name: to, dtype: "f32", length: copy.strides.length });
  }
  return { name, kernels: [...steps, ...sequence.kernels], temporaries: [...temporaries, ...sequence.temporaries] };
}
