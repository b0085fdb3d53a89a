import type { Arrays, Binding, UniformField } from "../kernel.js";
import { activate } from "../matmul/activation.js";
import type { Activation } from "../matmul/shape.js";
import { convolutionFlops, convolutionTensors, type Axis, type Convolution, type ImageStrides } from "./geometry.js";

/** One axis of a {@link Walk}: result position `at` meets, under tap `tap`, source position (at * multiply + offset + tap * step) / divide where that is whole. */
export interface WalkAxis {
  readonly source: number;
  readonly result: number;
  readonly taps: number;
  readonly multiply: number;
  readonly divide: number;
  readonly offset: number;
  readonly step: number;
}

/** Distances in elements in the weight of a {@link Walk}. */
export interface WalkWeight {
  /** Between result channels of a group, between source channels, between groups, and between taps. */
  readonly lane: number;
  readonly depth: number;
  readonly group: number;
  readonly y: number;
  readonly x: number;
  /** Elements of the tensor. */
  readonly length: number;
}

/**
 * What forward pass and input gradient of a convolution have in common: each result pixel sums taps of a source image, channel by channel.
 * Bindings of its kernels: source, weight, bias (where asked for), result.
 */
export interface Walk {
  readonly batch: number;
  readonly groups: number;
  /** Channels per group in the source (summed over) and in the result. */
  readonly depth: number;
  readonly width: number;
  readonly y: WalkAxis;
  readonly x: WalkAxis;
  readonly source: ImageStrides;
  readonly result: ImageStrides;
  readonly sourceLength: number;
  readonly resultLength: number;
  readonly weight: WalkWeight;
  readonly bias: boolean;
  readonly activation: Activation;
  /** The taps along x are folded into the depth: positions along x then count elements, and a source channel moves them on. */
  readonly folded: boolean;
  readonly flops: number;
}

const forwardAxis = ({ size, outSize, taps, stride, padding, dilation }: Axis): WalkAxis => ({ source: size, result: outSize, taps, multiply: stride, divide: 1, offset: -padding, step: dilation });
const inverseAxis = ({ size, outSize, taps, stride, padding, dilation }: Axis): WalkAxis => ({ source: outSize, result: size, taps, multiply: 1, divide: stride, offset: padding, step: -dilation });

/** out = activation(x * weight + bias). */
export function forwardWalk(c: Convolution): Walk {
  const [depth, width] = [c.channels / c.groups, c.outChannels / c.groups];
  const tensors = convolutionTensors(c);
  return {
    batch: c.batch, groups: c.groups, depth, width, y: forwardAxis(c.y), x: forwardAxis(c.x), source: c.input, result: c.output, sourceLength: tensors.x.length, resultLength: tensors.out.length, bias: c.bias, activation: c.activation, folded: false,
    weight: { lane: c.weight.out, depth: c.weight.channel, group: width * c.weight.out, y: c.weight.y, x: c.weight.x, length: tensors.weight.length },
    flops: convolutionFlops(c),
  };
}

/** dx, from the gradient before the activation. */
export function inverseWalk(c: Convolution): Walk {
  const [depth, width] = [c.outChannels / c.groups, c.channels / c.groups];
  const tensors = convolutionTensors(c);
  return {
    batch: c.batch, groups: c.groups, depth, width, y: inverseAxis(c.y), x: inverseAxis(c.x), source: c.output, result: c.input, sourceLength: tensors.out.length, resultLength: tensors.x.length, bias: false, activation: "none", folded: false,
    weight: { lane: c.weight.channel, depth: c.weight.out, group: depth * c.weight.out, y: c.weight.y, x: c.weight.x, length: tensors.weight.length },
    flops: convolutionFlops(c),
  };
}

/**
 * The same walk with the taps along x folded into the depth where pixels and taps lie side by side in memory: few channels
 * (the three of a camera image) then still fill the lanes.
 */
export function foldTaps(walk: Walk): Walk {
  const { x, depth, source, weight } = walk;
  const foldable = walk.groups === 1 && x.taps > 1 && x.step === 1 && x.divide === 1 && source.channel === 1 && source.x === depth && weight.x === depth * weight.depth;
  if (!foldable) return walk;
  return {
    ...walk, depth: x.taps * depth, folded: true,
    x: { ...x, taps: 1, source: x.source * depth, multiply: x.multiply * depth, offset: x.offset * depth },
    source: { ...source, x: 1 },
  };
}

/** Bindings of a walk's kernels. */
export function walkBindings({ groups, width, sourceLength, resultLength, weight, bias }: Walk): Binding[] {
  const read = (name: string, length: number): Binding => ({ name, access: "read", dtype: "f32", length });
  return [
    read("source", sourceLength),
    read("weight", weight.length),
    ...(bias ? [read("bias", groups * width)] : []),
    { name: "result", access: "write", dtype: "f32", length: resultLength },
  ];
}

/** Elements in a vector of each tensor as a kernel binds it: the unit of its distances. */
export interface WalkVectors {
  readonly source: number;
  readonly weight: number;
  readonly result: number;
}

/** Uniforms that describe a walk, as every family reads them. Distances are in vectors, those along a vector itself are 0; between source and result channels in elements. */
export function walkUniforms(walk: Walk, vectors: WalkVectors = { source: 1, weight: 1, result: 1 }): UniformField[] {
  const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });
  const i32 = (name: string, value: number): UniformField => ({ name, type: "i32", value });
  const distances = (of: "source" | "weight" | "result", by: Readonly<Record<string, number>>): UniformField[] => Object.entries(by).map(([name, value]) => u32(`${of}_${name}`, Math.floor(value / vectors[of])));
  const { source, result, weight } = walk;
  return [
    u32("depth", walk.depth), u32("width", walk.width),
    ...(["y", "x"] as const).flatMap((name) => {
      const axis = walk[name];
      return [
        i32(`${name}_source`, axis.source), u32(`${name}_result`, axis.result), u32(`${name}_taps`, axis.taps), i32(`${name}_multiply`, axis.multiply),
        i32(`${name}_divide`, axis.divide), i32(`${name}_offset`, axis.offset), i32(`${name}_step`, axis.step),
      ];
    }),
    ...distances("source", { image: source.image, y: source.y, x: source.x }), u32("source_channel", source.channel),
    ...distances("weight", { depth: weight.depth, lane: weight.lane, group: weight.group, y: weight.y, x: weight.x }),
    ...distances("result", { image: result.image, y: result.y, x: result.x }), u32("result_channel", result.channel),
  ];
}

/** Source coordinate under a tap, or undefined where the tap reaches none; the range along x is checked by the caller. */
const meets = ({ multiply, divide, offset, step }: WalkAxis, at: number, tap: number): number | undefined => {
  const position = at * multiply + offset + tap * step;
  return position % divide === 0 ? position / divide : undefined;
};

/** Plain-loop float64 walk. */
export function walkReference(walk: Walk, { source = new Float64Array(), weight = new Float64Array(), bias = new Float64Array() }: Arrays): { result: Float64Array } {
  const { batch, groups, depth, width, y, x } = walk;
  const result = new Float64Array(walk.resultLength);
  for (let b = 0; b < batch; b++) for (let g = 0; g < groups; g++) for (let ry = 0; ry < y.result; ry++) for (let rx = 0; rx < x.result; rx++) for (let o = 0; o < width; o++) {
    let sum = walk.bias ? (bias[g * width + o] ?? 0) : 0;
    for (let ky = 0; ky < y.taps; ky++) for (let kx = 0; kx < x.taps; kx++) {
      const sy = meets(y, ry, ky);
      const sx = meets(x, rx, kx);
      if (sy === undefined || sx === undefined || sy < 0 || sy >= y.source) continue;
      for (let i = 0; i < depth; i++) {
        const reached = walk.folded ? sx + i : sx;
        if (reached < 0 || reached >= x.source) continue;
        const at = b * walk.source.image + sy * walk.source.y + sx * walk.source.x + (g * depth + i) * walk.source.channel;
        sum += (source[at] ?? 0) * (weight[g * walk.weight.group + o * walk.weight.lane + i * walk.weight.depth + ky * walk.weight.y + kx * walk.weight.x] ?? 0);
      }
    }
    result[b * walk.result.image + ry * walk.result.y + rx * walk.result.x + (g * width + o) * walk.result.channel] = activate(walk.activation, sum);
  }
  return { result };
}
