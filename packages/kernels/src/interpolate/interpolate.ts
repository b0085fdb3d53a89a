import { matrixGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { declare } from "../wgsl.js";
import { interpolate2dBackwardReference, type Interpolate2dOptions, interpolate2dReference, requireInterpolation } from "./reference.js";

const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });

/** Positions as exact fractions of integers: i32 holds 2 * (size + 1) * (out + 1). */
const places = {
  nearest: `
/** Pixel that new pixel \`o\` is made of. */
fn first_source(o: i32, size: i32, out: i32) -> i32 { return o * size / out; }
/** Share of pixel \`i\` in new pixel \`o\`. */
fn weight(o: i32, i: i32, size: i32, out: i32) -> f32 { return select(0.0, 1.0, o * size / out == i); }
/** New pixels, first and behind the last, that pixel \`i\` has a share in. */
fn reach(i: i32, size: i32, out: i32) -> vec2i { return vec2i((i * out + size - 1) / size, ((i + 1) * out + size - 1) / size); }
`,
  bilinear: `
/** Centre of new pixel \`o\` among the centres of the old, times 2 out; before the first centre it is the first. */
fn centre(o: i32, size: i32, out: i32) -> i32 { return max(0, (2 * o + 1) * size - out); }
fn first_source(o: i32, size: i32, out: i32) -> i32 { return centre(o, size, out) / (2 * out); }
fn rest(o: i32, size: i32, out: i32) -> f32 { return f32(centre(o, size, out) % (2 * out)) / f32(2 * out); }
fn weight(o: i32, i: i32, size: i32, out: i32) -> f32 {
  let first = first_source(o, size, out);
  let second = min(first + 1, size - 1);
  let part = rest(o, size, out);
  return select(0.0, 1.0 - part, first == i) + select(0.0, part, second == i);
}
fn reach(i: i32, size: i32, out: i32) -> vec2i {
  return vec2i(max(0, (2 * i - 1) * out - size) / (2 * size), min(out - 1, max(0, (2 * i + 3) * out - size) / (2 * size)) + 1);
}
`,
} as const;

function kernelOf(options: Interpolate2dOptions, target: KernelTarget, backward: boolean): Kernel {
  const name = backward ? "interpolate2dBackward" : "interpolate2d";
  requireInterpolation(name, options);
  const { batch, height, width, channels, outHeight, outWidth, mode } = options;
  const lane = laneFor(channels);
  const [rows, across] = backward ? [height, width] : [outHeight, outWidth];
  const plan = matrixGrid(batch * rows * across, channels / laneWidth(lane), target);
  const [input, output] = [batch * height * width * channels, batch * outHeight * outWidth * channels];
  const bindings: readonly Binding[] = backward
    ? [{ name: "dy", access: "read", dtype: "f32", length: output }, { name: "dx", access: "write", dtype: "f32", length: input }]
    : [{ name: "x", access: "read", dtype: "f32", length: input }, { name: "y", access: "write", dtype: "f32", length: output }];
  const uniforms = [...plan.uniforms, u32("height", height), u32("width", width), u32("out_height", outHeight), u32("out_width", outWidth)];
  const pixel = `    let sizes = vec2i(vec2u(params.width, params.height));
    let outs = vec2i(vec2u(params.out_width, params.out_height));
    let line = row / params.${backward ? "width" : "out_width"};
    let image = line / params.${backward ? "height" : "out_height"};
    let own = vec2i(vec2u(row - line * params.${backward ? "width" : "out_width"}, line - image * params.${backward ? "height" : "out_height"}));`;
  const source = (dy: 0 | 1, dx: 0 | 1): string => `x[u32((i32(image) * sizes.y + ${dy ? "second" : "first"}.y) * sizes.x + ${dx ? "second" : "first"}.x) * params.columns + column]`;
  const nearest = { perRow: "", body: `    y[place] = ${source(0, 0)};` };
  const bilinear = {
    perRow: `
    let second = min(first + 1, sizes - 1);
    let part = vec2f(rest(own.x, sizes.x, outs.x), rest(own.y, sizes.y, outs.y));`,
    body: `    let above = ${source(0, 0)} * (1.0 - part.x) + ${source(0, 1)} * part.x;
    let below = ${source(1, 0)} * (1.0 - part.x) + ${source(1, 1)} * part.x;
    y[place] = above * (1.0 - part.y) + below * part.y;`,
  };
  const forward = mode === "nearest" ? nearest : bilinear;
  const main = backward
    ? plan.main(
        `${pixel}
    let across = reach(own.x, sizes.x, outs.x);
    let down = reach(own.y, sizes.y, outs.y);`,
        `    var sum = ${lane}();
    for (var o_y = down.x; o_y < down.y; o_y += 1) {
      let weight_y = weight(o_y, own.y, sizes.y, outs.y);
      for (var o_x = across.x; o_x < across.y; o_x += 1) {
        let share = weight_y * weight(o_x, own.x, sizes.x, outs.x);
        sum += share * dy[u32((i32(image) * outs.y + o_y) * outs.x + o_x) * params.columns + column];
      }
    }
    dx[place] = sum;`,
      )
    : plan.main(`${pixel}
    let first = vec2i(first_source(own.x, sizes.x, outs.x), first_source(own.y, sizes.y, outs.y));${forward.perRow}`, forward.body);
  return {
    name: `${name}.${mode}.${plan.variant}.${laneName(lane)}`,
    wgsl: declare(bindings, uniforms, Object.fromEntries(bindings.map((binding) => [binding.name, lane]))) + places[mode] + main,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: (mode === "nearest" ? 1 : 7) * output, bytes: 4 * (input + output) },
    reference: (inputs) => (backward ? interpolate2dBackwardReference(options, inputs) : interpolate2dReference(options, inputs)),
  };
}

/**
 * Changes the resolution of images: x [B, H, W, C] -> y [B, outHeight, outWidth, C].
 * Source: PyTorch's interpolate with a size and align_corners false; positions are exact here, where PyTorch rounds them to float32.
 * @throws ShapeError
 */
export function interpolate2d(options: Interpolate2dOptions, target: KernelTarget): Kernel {
  return kernelOf(options, target, false);
}

/**
 * Gradient of {@link interpolate2d}: dy [B, outHeight, outWidth, C] -> dx [B, H, W, C]. Every pixel gathers from the new pixels it has a
 * share in, in a fixed order.
 * @throws ShapeError
 */
export function interpolate2dBackward(options: Interpolate2dOptions, target: KernelTarget): Kernel {
  return kernelOf(options, target, true);
}
