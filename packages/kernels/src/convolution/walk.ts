import type { Arrays, Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { activationWgsl } from "../matmul/activation.js";
import { maxGridDimension, type Activation } from "../matmul/shape.js";
import { declare } from "../wgsl.js";
import { convolutionFlops, convolutionTensors, type Axis, type Convolution, type ImageStrides } from "./geometry.js";
import { convolutionGradientReference, convolutionReference } from "./reference.js";
import { convolutionTile, each } from "./tile.js";

/** Neighbouring result pixels per lane. Seven, because image widths are often multiples of seven. */
const pixels = 7;

/** One direction of a convolution: each result pixel sums taps of a source image, channel by channel. */
interface Walk {
  readonly name: string;
  readonly source: Binding;
  readonly result: Binding;
  readonly bias: boolean;
  readonly activation: Activation;
  /** Channels per group in the source (summed over) and in the result (spread over lanes). */
  readonly depth: number;
  readonly width: number;
  readonly sourceStrides: ImageStrides;
  readonly resultStrides: ImageStrides;
  /** Distance in the weight between result channels of a group, between source channels, and between groups. */
  readonly weightLane: number;
  readonly weightDepth: number;
  readonly weightGroup: number;
  /** false: source = result * stride - padding + tap * dilation; true: the inverse of that, where it is a whole number. */
  readonly inverse: boolean;
  reference(inputs: Arrays): Record<string, Float64Array>;
}

/**
 * Convolution: out = activation(x * weight + bias).
 * Bindings: x, weight, bias (where asked for), out, in the layouts of `c`.
 */
export function convolutionForward(c: Convolution, target: KernelTarget): Kernel {
  const tensors = convolutionTensors(c);
  const width = c.outChannels / c.groups;
  return walkKernel(c, target, {
    name: `${c.name}.forward`,
    source: tensors.x,
    result: { ...tensors.out, access: "write" },
    bias: c.bias,
    activation: c.activation,
    depth: c.channels / c.groups,
    width,
    sourceStrides: c.input,
    resultStrides: c.output,
    weightLane: c.weight.out,
    weightDepth: c.weight.channel,
    weightGroup: width * c.weight.out,
    inverse: false,
    reference: (inputs) => convolutionReference(c, inputs),
  });
}

/** Gradient to the input. Bindings: dout, weight, dx. `dout` is the gradient before the activation. */
export function convolutionBackwardInput(c: Convolution, target: KernelTarget): Kernel {
  const tensors = convolutionTensors(c);
  const depth = c.outChannels / c.groups;
  return walkKernel(c, target, {
    name: `${c.name}.backwardInput`,
    source: { ...tensors.out, name: "dout" },
    result: { ...tensors.x, name: "dx", access: "write" },
    bias: false,
    activation: "none",
    depth,
    width: c.channels / c.groups,
    sourceStrides: c.output,
    resultStrides: c.input,
    weightLane: c.weight.channel,
    weightDepth: c.weight.out,
    weightGroup: depth * c.weight.out,
    inverse: true,
    reference: (inputs) => ({ dx: convolutionGradientReference(c, inputs).dx }),
  });
}

/** Uniforms of one axis. The step between a lane's result pixels keeps all of them on the same taps. */
function axisUniforms(name: string, axis: Axis, inverse: boolean): UniformField[] {
  const u32 = (field: string, value: number): UniformField => ({ name: `${name}_${field}`, type: "u32", value });
  return [
    u32("source", inverse ? axis.outSize : axis.size),
    u32("result", inverse ? axis.size : axis.outSize),
    u32("taps", axis.taps),
    u32("stride", axis.stride),
    u32("padding", axis.padding),
    u32("dilation", axis.dilation),
  ];
}

/**
 * One workgroup computes `pixels` result pixels of one row for lanes x columns result channels of one group. All branches depend on
 * the workgroup only. Source channels are loaded one per lane and spread by subgroupBroadcast where there are subgroups.
 * With `inverse`, a lane's pixels lie `stride` apart, so that a tap reaches either all of them or none.
 */
function walkKernel(c: Convolution, target: KernelTarget, walk: Walk): Kernel {
  const { depth, width, inverse, source, result, sourceStrides, resultStrides } = walk;
  const { lanes, subgroup, columns } = convolutionTile(width, target);
  const channelTiles = Math.ceil(width / (lanes * columns));
  const bindings: Binding[] = [source, convolutionTensors(c).weight, ...(walk.bias ? [convolutionTensors(c).bias] : []), result];
  const strides = (name: string, s: ImageStrides): UniformField[] => Object.entries(s).map(([axis, value]) => ({ name: `${name}_${axis}`, type: "u32", value: value as number }));
  const uniforms: UniformField[] = [
    { name: "rows", type: "u32", value: c.batch * (inverse ? c.y.size : c.y.outSize) },
    { name: "channel_tiles", type: "u32", value: channelTiles },
    { name: "depth", type: "u32", value: depth },
    { name: "width", type: "u32", value: width },
    ...axisUniforms("y", c.y, inverse),
    ...axisUniforms("x", c.x, inverse),
    ...strides("source", sourceStrides),
    ...strides("result", resultStrides),
    { name: "weight_lane", type: "u32", value: walk.weightLane },
    { name: "weight_depth", type: "u32", value: walk.weightDepth },
    { name: "weight_group", type: "u32", value: walk.weightGroup },
    { name: "weight_y", type: "u32", value: c.weight.y },
    { name: "weight_x", type: "u32", value: c.weight.x },
  ];
  const T = columns === 1 ? "f32" : "vec2f";
  const gathered = (at: (column: number) => string): string => (columns === 1 ? at(0) : `${T}(${at(0)}, ${at(1)})`);
  const weight = (step: string): string => gathered((column) => `weight[weight_at${column} + (${step}) * params.weight_depth]`);
  const sourceAt = (r: number, step: string): string => `select(0.0, ${source.name}[at${r} + (${step}) * params.source_channel], inside${r})`;
  const add = (r: number, factor: string): string => `sum${r} = fma(${T}(${factor}), w, sum${r});`;
  const [resultStep, sourceStep] = inverse ? ["params.x_stride", "1"] : ["1u", "i32(params.x_stride)"];
  /** Statements that give `name`, the source coordinate of tap `tap` for result coordinate `at`, and skip taps that reach none. */
  const coordinate = (axis: "y" | "x", at: string, tap: string): string =>
    inverse
      ? `let ${axis}_shifted = i32(${at} + params.${axis}_padding) - i32(${tap} * params.${axis}_dilation);
      if (${axis}_shifted % i32(params.${axis}_stride) != 0) { continue; }
      let ${axis}_from = ${axis}_shifted / i32(params.${axis}_stride);`
      : `let ${axis}_from = i32(${at} * params.${axis}_stride + ${tap} * params.${axis}_dilation) - i32(params.${axis}_padding);`;

  const blocks = `
      var l = 0u;
      ${depth < lanes ? "" : `for (; l + ${lanes}u <= params.depth; l += ${lanes}u) {
${each(pixels, (r) => `let q${r} = ${sourceAt(r, "l + lane")};`)}
${each(lanes, (s) => `{ let w = ${weight(`l + ${s}u`)};\n${each(pixels, (r) => add(r, `subgroupBroadcast(q${r}, ${s}u)`))} }`)}
      }`}
      ${depth % lanes === 0 ? "" : `if (l < params.depth) {
        let own = min(l + lane, params.depth - 1u);
${each(pixels, (r) => `let q${r} = ${sourceAt(r, "own")};`)}
        for (var step = 0u; l < params.depth; l += 1u) {
          let w = ${weight("l")};
${each(pixels, (r) => add(r, `subgroupShuffle(q${r}, step)`))}
          step += 1u;
        }
      }`}`;
  const plain = `
      for (var l = 0u; l < params.depth; l += 1u) {
        let w = ${weight("l")};
${each(pixels, (r) => add(r, sourceAt(r, "l")))}
      }`;
  const wgsl = `${subgroup ? "enable subgroups;\n" : ""}${declare(bindings, uniforms)}
${activationWgsl(walk.activation, "f32")}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = tile.x / params.channel_tiles;
  let lane0 = (tile.x % params.channel_tiles * ${lanes}u + lane) * ${columns}u;
${each(columns, (column) => `let channel${column} = min(lane0 + ${column}u, params.width - 1u);`)}
  let x0 = tile.y % ${resultStep} + tile.y / ${resultStep} * ${resultStep} * ${pixels}u;
  for (var row = tile.z; row < params.rows; row += tiles.z) {
    let image = row / params.y_result;
    let y = row % params.y_result;
${each(pixels, (r) => `var sum${r} = ${T}();`)}
    for (var ky = 0u; ky < params.y_taps; ky += 1u) {
      ${coordinate("y", "y", "ky")}
      if (y_from < 0 || y_from >= i32(params.y_source)) { continue; }
      let source_row = image * params.source_image + u32(y_from) * params.source_y + group * params.depth * params.source_channel;
      for (var kx = 0u; kx < params.x_taps; kx += 1u) {
      ${coordinate("x", "x0", "kx")}
      let weight_tap = group * params.weight_group + ky * params.weight_y + kx * params.weight_x;
${each(columns, (column) => `let weight_at${column} = weight_tap + channel${column} * params.weight_lane;`)}
${each(pixels, (r) => `let x${r} = x_from + ${r} * ${sourceStep};
      let inside${r} = x${r} >= 0 && x${r} < i32(params.x_source);
      let at${r} = source_row + u32(clamp(x${r}, 0, i32(params.x_source) - 1)) * params.source_x;`)}
${subgroup ? blocks : plain}
      }
    }
    let result_row = image * params.result_image + y * params.result_y + group * params.width * params.result_channel;
${each(pixels, (r) => `if (x0 + ${r}u * ${resultStep} < params.x_result) {
${each(columns, (column) => `if (lane0 + ${column}u < params.width) {
  let value = sum${r}${columns === 1 ? "" : `.${"xy"[column]}`}${walk.bias ? ` + bias[group * params.width + lane0 + ${column}u]` : ""};
  ${result.name}[result_row + (x0 + ${r}u * ${resultStep}) * params.result_x + (lane0 + ${column}u) * params.result_channel] = activate(value);
}`)}
    }`)}
  }
}
`;
  const resultWidth = inverse ? c.x.size : c.x.outSize;
  const step = inverse ? c.x.stride : 1;
  const xTiles = step * Math.ceil(Math.ceil(resultWidth / step) / pixels);
  const rows = c.batch * (inverse ? c.y.size : c.y.outSize);
  const nothing = rows === 0 || resultWidth === 0;
  return {
    name: `${walk.name}${subgroup ? ".subgroup" : ""}`,
    wgsl,
    bindings,
    uniforms,
    grid: nothing ? [0, 0, 0] : [c.groups * channelTiles, xTiles, Math.min(maxGridDimension, rows)],
    cost: { flops: convolutionFlops(c), bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => walk.reference(inputs),
  };
}
