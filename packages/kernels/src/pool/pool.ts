import { matrixGrid } from "../flat-grid.js";
import type { Arrays, Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { type Lane, laneFor, laneName, laneOf, laneWidth } from "../lanes.js";
import { declare } from "../wgsl.js";
import { pool2dGeometry, type Pool2dGeometry, type Pool2dOptions } from "./geometry.js";
import { averagePool2dBackwardReference, averagePool2dReference, maxPool2dBackwardReference, maxPool2dReference, poolLengths } from "./reference.js";

/** One of the four kernels: the pixels it goes over and the loop at each. */
interface PoolKernel {
  readonly name: string;
  readonly bindings: readonly Binding[];
  /** Over the pixels of the input, as gradients are; else of the output. */
  readonly overInput: boolean;
  readonly body: (lane: Lane) => string;
  readonly reference: (inputs: Arrays) => Record<string, Float64Array>;
}

function axisUniforms({ y, x }: Pool2dGeometry): UniformField[] {
  const i32 = (name: string, value: number): UniformField => ({ name, type: "i32", value });
  return ([["y", y], ["x", x]] as const).flatMap(([name, axis]) => [
    i32(`${name}_size`, axis.size), i32(`${name}_out`, axis.outSize), i32(`${name}_taps`, axis.taps), i32(`${name}_stride`, axis.stride), i32(`${name}_padding`, axis.padding), i32(`${name}_dilation`, axis.dilation),
  ]);
}

/** An invocation (or, on CPU drivers, a loop) per pixel and vector of channels; `image`, `at_y` and `at_x` say which pixel. */
function poolKernel(pool: Pool2dGeometry, target: KernelTarget, { name, bindings, overInput, body, reference }: PoolKernel): Kernel {
  const { batch, channels, y, x } = pool;
  const lane = laneFor(channels);
  const columns = channels / laneWidth(lane);
  const [height, width] = overInput ? [y.size, x.size] : [y.outSize, x.outSize];
  const plan = matrixGrid(batch * height * width, columns, target);
  const uniforms = [...plan.uniforms, ...axisUniforms(pool)];
  const elements = Object.fromEntries(bindings.map((binding) => [binding.name, laneOf(lane, binding.name === "index" ? "i32" : "f32")]));
  const [rows, across] = overInput ? ["y_size", "x_size"] : ["y_out", "x_out"];
  const wgsl =
    declare(bindings, uniforms, elements) +
    plan.main(
      `    let line = i32(row) / params.${across};
    let at_x = i32(row) - line * params.${across};
    let image = line / params.${rows};
    let at_y = line - image * params.${rows};`,
      body(lane),
    );
  const { input, output } = poolLengths(pool);
  return {
    name: `${name}.${plan.variant}.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: output * y.taps * x.taps, bytes: 4 * (input + output) },
    reference,
  };
}

const read = (name: string, length: number, dtype: "f32" | "i32" = "f32"): Binding => ({ name, access: "read", dtype, length });
const write = (name: string, length: number, dtype: "f32" | "i32" = "f32"): Binding => ({ name, access: "write", dtype, length });

/** Loops over the pixels of the image that the window at (at_y, at_x) covers; `visit` sees `pixel`, the number of one in its image. */
const overWindow = (visit: string): string => `
    for (var tap_y = 0; tap_y < params.y_taps; tap_y += 1) {
      let in_y = at_y * params.y_stride + tap_y * params.y_dilation - params.y_padding;
      if (in_y < 0 || in_y >= params.y_size) { continue; }
      for (var tap_x = 0; tap_x < params.x_taps; tap_x += 1) {
        let in_x = at_x * params.x_stride + tap_x * params.x_dilation - params.x_padding;
        if (in_x < 0 || in_x >= params.x_size) { continue; }
        let pixel = in_y * params.x_size + in_x;
        let element = u32(image * params.y_size * params.x_size + pixel) * params.columns + column;
        ${visit}
      }
    }`;

/** Loops, in a fixed order, over the windows that cover the pixel (at_y, at_x); `visit` sees `out_y`, `out_x` and `element`, the output's. */
const overWindows = (visit: string): string => `
    for (var tap_y = 0; tap_y < params.y_taps; tap_y += 1) {
      let shifted_y = at_y + params.y_padding - tap_y * params.y_dilation;
      let out_y = shifted_y / params.y_stride;
      if (shifted_y < 0 || out_y * params.y_stride != shifted_y || out_y >= params.y_out) { continue; }
      for (var tap_x = 0; tap_x < params.x_taps; tap_x += 1) {
        let shifted_x = at_x + params.x_padding - tap_x * params.x_dilation;
        let out_x = shifted_x / params.x_stride;
        if (shifted_x < 0 || out_x * params.x_stride != shifted_x || out_x >= params.x_out) { continue; }
        let element = u32((image * params.y_out + out_y) * params.x_out + out_x) * params.columns + column;
        ${visit}
      }
    }`;

/**
 * Maximum over windows: x [B, H, W, C] -> y [B, Ho, Wo, C], index i32 [B, Ho, Wo, C], the number iy * W + ix of the pixel it came from,
 * the first among equals; 0 and -1 where a dilated window steps over the image. Source: PyTorch's max_pool2d.
 * @throws ShapeError
 */
export function maxPool2d(options: Pool2dOptions, target: KernelTarget): Kernel {
  const pool = pool2dGeometry("maxPool2d", options);
  const { input, output } = poolLengths(pool);
  return poolKernel(pool, target, {
    name: "maxPool2d",
    bindings: [read("x", input), write("y", output), write("index", output, "i32")],
    overInput: false,
    body: (lane) => {
      const place = laneOf(lane, "i32");
      return `    var best = ${lane}();
    var chosen = ${place}(-1);${overWindow(`let value = x[element];
        let better = (value > best) | (chosen < ${place}());
        best = select(best, value, better);
        chosen = select(chosen, ${place}(pixel), better);`)}
    y[place] = best;
    index[place] = chosen;`;
    },
    reference: (inputs) => maxPool2dReference(pool, inputs),
  });
}

/**
 * Gradient of {@link maxPool2d}: index i32 and dy [B, Ho, Wo, C] -> dx [B, H, W, C]. Every pixel gathers from the windows that cover it,
 * in a fixed order.
 * @throws ShapeError
 */
export function maxPool2dBackward(options: Pool2dOptions, target: KernelTarget): Kernel {
  const pool = pool2dGeometry("maxPool2dBackward", options);
  const { input, output } = poolLengths(pool);
  return poolKernel(pool, target, {
    name: "maxPool2dBackward",
    bindings: [read("index", output, "i32"), read("dy", output), write("dx", input)],
    overInput: true,
    body: (lane) => `    let own = ${laneOf(lane, "i32")}(at_y * params.x_size + at_x);
    var sum = ${lane}();${overWindows(`sum += select(${lane}(), dy[element], index[element] == own);`)}
    dx[place] = sum;`,
    reference: (inputs) => maxPool2dBackwardReference(pool, inputs),
  });
}

/** WGSL factor of the window at (out_y, out_x): one over its pixels. */
function share({ countPadding }: Pool2dGeometry, outY: string, outX: string): string {
  if (countPadding) return "1.0 / f32(params.y_taps * params.x_taps)";
  const covered = (axis: "y" | "x", out: string): string =>
    `(min(${out} * params.${axis}_stride - params.${axis}_padding + params.${axis}_taps, params.${axis}_size) - max(${out} * params.${axis}_stride - params.${axis}_padding, 0))`;
  return `1.0 / f32(${covered("y", outY)} * ${covered("x", outX)})`;
}

/** An average is over whole windows: {@link Pool2dOptions.dilation} is left out. */
export type AveragePool2dOptions = Omit<Pool2dOptions, "dilation">;

/**
 * Average over windows: x [B, H, W, C] -> y [B, Ho, Wo, C]. A window of the whole image is a global average. Source: PyTorch's avg_pool2d.
 * @throws ShapeError
 */
export function averagePool2d(options: AveragePool2dOptions, target: KernelTarget): Kernel {
  const pool = pool2dGeometry("averagePool2d", { ...options, dilation: 1 });
  const { input, output } = poolLengths(pool);
  return poolKernel(pool, target, {
    name: `averagePool2d${pool.countPadding ? "" : ".inside"}`,
    bindings: [read("x", input), write("y", output)],
    overInput: false,
    body: (lane) => `    var sum = ${lane}();${overWindow("sum += x[element];")}
    y[place] = sum * (${share(pool, "at_y", "at_x")});`,
    reference: (inputs) => averagePool2dReference(pool, inputs),
  });
}

/**
 * Gradient of {@link averagePool2d}: dy [B, Ho, Wo, C] -> dx [B, H, W, C], summed in a fixed order.
 * @throws ShapeError
 */
export function averagePool2dBackward(options: AveragePool2dOptions, target: KernelTarget): Kernel {
  const pool = pool2dGeometry("averagePool2dBackward", { ...options, dilation: 1 });
  const { input, output } = poolLengths(pool);
  return poolKernel(pool, target, {
    name: `averagePool2dBackward${pool.countPadding ? "" : ".inside"}`,
    bindings: [read("dy", output), write("dx", input)],
    overInput: true,
    body: (lane) => `    var sum = ${lane}();${overWindows(`sum += dy[element] * (${share(pool, "out_y", "out_x")});`)}
    dx[place] = sum;`,
    reference: (inputs) => averagePool2dBackwardReference(pool, inputs),
  });
}
