import type { Arrays, Binding, UniformField } from "../kernel.js";
import { convolutionFlops, convolutionTensors, type Axis, type Convolution } from "./geometry.js";

/** Distances in elements in one of the two image tensors of a weight gradient. */
export interface OperandStrides {
  readonly image: number;
  readonly y: number;
  readonly x: number;
  readonly channel: number;
  readonly group: number;
  /** Elements of the tensor. */
  readonly length: number;
}

/**
 * The weight gradient as a product: at each output position, channels of one image tensor (spread over lanes) times channels of the other
 * (rows), summed over all positions for every tap. Bindings of its kernels: lane_operand, row_operand, dweight, the last one per slice.
 */
export interface WeightWalk {
  /** The lanes' tensor is the input, which is read under the tap; else it is the gradient of the output. */
  readonly lanesOverInput: boolean;
  readonly positions: number;
  readonly groups: number;
  readonly y: Axis;
  readonly x: Axis;
  /** Channels per group. */
  readonly laneWidth: number;
  readonly rowWidth: number;
  readonly lane: OperandStrides;
  readonly row: OperandStrides;
  /** Distances in the weight. */
  readonly weight: { readonly lane: number; readonly row: number; readonly group: number; readonly y: number; readonly x: number; readonly length: number };
  /** The taps along x are folded into the rows (channels of the input): positions along x then count elements. */
  readonly folded: boolean;
  /** Parts of the positions and positions in each. */
  readonly slices: number;
  readonly sliceLength: number;
  readonly flops: number;
}

/** The product of a convolution's weight gradient, in one slice; lanes along the tensor with more channels unless the input has enough. */
export function weightWalk(c: Convolution): WeightWalk {
  const tensors = convolutionTensors(c);
  const [depth, width] = [c.channels / c.groups, c.outChannels / c.groups];
  const lanesOverInput = depth >= width || depth >= 16;
  const input = { ...c.input, group: depth * c.input.channel, length: tensors.x.length };
  const output = { ...c.output, group: width * c.output.channel, length: tensors.out.length };
  const [laneWeight, rowWeight] = lanesOverInput ? [c.weight.channel, c.weight.out] : [c.weight.out, c.weight.channel];
  const positions = c.batch * c.y.outSize * c.x.outSize;
  return {
    lanesOverInput, positions, groups: c.groups, y: c.y, x: c.x, folded: false, slices: 1, sliceLength: positions, flops: convolutionFlops(c),
    ...(lanesOverInput ? { laneWidth: depth, rowWidth: width, lane: input, row: output } : { laneWidth: width, rowWidth: depth, lane: output, row: input }),
    weight: { lane: laneWeight, row: rowWeight, group: width * c.weight.out, y: c.weight.y, x: c.weight.x, length: tensors.weight.length },
  };
}

/** The same product with the taps along x as further rows, where pixels, taps and weights lie side by side: few channels then still fill the rows. */
export function foldRows(walk: WeightWalk): WeightWalk {
  const { x, rowWidth, row, weight } = walk;
  const foldable = !walk.lanesOverInput && walk.groups === 1 && x.taps > 1 && x.dilation === 1 && row.channel === 1 && row.x === rowWidth && weight.row === 1 && weight.x === rowWidth;
  if (!foldable) return walk;
  return {
    ...walk, folded: true, rowWidth: x.taps * rowWidth,
    x: { ...x, taps: 1, size: x.size * rowWidth, stride: x.stride * rowWidth, padding: x.padding * rowWidth },
    row: { ...row, x: 1 },
  };
}

/** Bindings of a weight gradient's kernels. */
export function weightWalkBindings({ lane, row, weight, slices }: WeightWalk): Binding[] {
  const read = (name: string, length: number): Binding => ({ name, access: "read", dtype: "f32", length });
  return [read("lane_operand", lane.length), read("row_operand", row.length), { name: "dweight", access: "write", dtype: "f32", length: slices * weight.length }];
}

/** Uniforms of a weight gradient, distances in the lanes' tensor in vectors of `columns`. */
export function weightWalkUniforms(walk: WeightWalk, columns: number): UniformField[] {
  const { y, x, lane, row, weight } = walk;
  const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  return [
    u32("positions", walk.positions), u32("slice_length", walk.sliceLength), u32("lane_width", walk.laneWidth), u32("row_width", walk.rowWidth),
    ...([["y", y], ["x", x]] as const).flatMap(([name, axis]): UniformField[] => [
      { name: `${name}_size`, type: "i32", value: axis.size }, u32(`${name}_out`, axis.outSize), u32(`${name}_taps`, axis.taps),
      u32(`${name}_stride`, axis.stride), u32(`${name}_padding`, axis.padding), u32(`${name}_dilation`, axis.dilation),
    ]),
    ...Object.entries({ image: lane.image, y: lane.y, x: lane.x, group: lane.group }).map(([name, value]) => u32(`lane_${name}`, value / columns)),
    u32("lane_channel", columns === 1 ? lane.channel : 1),
    ...Object.entries({ image: row.image, y: row.y, x: row.x, group: row.group, channel: row.channel }).map(([name, value]) => u32(`row_${name}`, value)),
    u32("weight_lane", weight.lane), u32("weight_row", weight.row), u32("weight_group", weight.group), u32("weight_y", weight.y), u32("weight_x", weight.x), u32("weights", weight.length),
  ];
}

/** Plain-loop float64 weight gradient, slice by slice. */
export function weightWalkReference(walk: WeightWalk, { lane_operand: lanes = new Float64Array(), row_operand: rows = new Float64Array() }: Arrays): { dweight: Float64Array } {
  const { positions, groups, y, x, laneWidth, rowWidth, lane, row, weight, slices, sliceLength, lanesOverInput, folded } = walk;
  const dweight = new Float64Array(slices * weight.length);
  for (let p = 0; p < positions; p++) {
    const [image, oy, ox] = [Math.floor(p / x.outSize / y.outSize), Math.floor(p / x.outSize) % y.outSize, p % x.outSize];
    for (let ky = 0; ky < y.taps; ky++) for (let kx = 0; kx < x.taps; kx++) {
      const [iy, ix] = [oy * y.stride + ky * y.dilation - y.padding, ox * x.stride + kx * x.dilation - x.padding];
      if (iy < 0 || iy >= y.size) continue;
      const place = (strides: OperandStrides, input: boolean): number => image * strides.image + (input ? iy : oy) * strides.y + (input ? ix : ox) * strides.x;
      const [laneAt, rowAt] = [place(lane, lanesOverInput), place(row, !lanesOverInput)];
      const start = Math.floor(p / sliceLength) * weight.length + ky * weight.y + kx * weight.x;
      for (let g = 0; g < groups; g++) for (let r = 0; r < rowWidth; r++) {
        const reached = folded ? ix + r : ix;
        if (reached < 0 || reached >= x.size) continue;
        for (let l = 0; l < laneWidth; l++) {
          const at = start + g * weight.group + r * weight.row + l * weight.lane;
          dweight[at] = (dweight[at] ?? 0) + (lanes[laneAt + g * lane.group + l * lane.channel] ?? 0) * (rows[rowAt + g * row.group + r * row.channel] ?? 0);
        }
      }
    }
  }
  return { dweight };
}
