import type { Kernel, UniformField } from "../kernel.js";
import { activationWgsl } from "../matmul/activation.js";
import { maxGridDimension } from "../matmul/shape.js";
import { declare } from "../wgsl.js";
import { type Columns, each, type Lanes, vectorType } from "./tile.js";
import { type Walk, walkBindings, walkReference } from "./walk.js";

/** Register tile of {@link registerWalk}. */
export interface RegisterTile extends Lanes {
  /** Neighbouring result pixels per lane. */
  readonly pixels: number;
  /** Result channels per lane. */
  readonly columns: Columns;
}

const u32 = (name: string, value: number): UniformField => ({ name, type: "u32", value });

/** Uniforms that describe a walk, as every family reads them; weight distances in vectors of `columns`. */
export function walkUniforms(walk: Walk, columns: number): UniformField[] {
  const { y, x, source, result, weight } = walk;
  const i32 = (name: string, value: number): UniformField => ({ name, type: "i32", value });
  return [
    u32("batch", walk.batch), u32("depth", walk.depth), u32("width", walk.width),
    ...([["y", y], ["x", x]] as const).flatMap(([name, axis]) => [
      i32(`${name}_source`, axis.source), u32(`${name}_result`, axis.result), u32(`${name}_taps`, axis.taps), i32(`${name}_multiply`, axis.multiply),
      i32(`${name}_divide`, axis.divide), i32(`${name}_offset`, axis.offset), i32(`${name}_step`, axis.step),
    ]),
    u32("source_image", source.image), u32("source_y", source.y), u32("source_x", source.x), u32("source_channel", source.channel),
    u32("result_image", result.image), u32("result_y", result.y), u32("result_x", result.x), u32("result_channel", result.channel),
    u32("weight_depth", weight.depth / columns), u32("weight_group", weight.group / columns), u32("weight_y", weight.y / columns), u32("weight_x", weight.x / columns),
  ];
}

/** WGSL that gives `${axis}_from`, the source coordinate of result coordinate `at` under `tap`, and goes on to the next tap where there is none. */
function coordinateWgsl(axis: "y" | "x", at: string, tap: string): string {
  return `let ${axis}_shifted = i32(${at}) * params.${axis}_multiply + params.${axis}_offset + i32(${tap}) * params.${axis}_step;
      if (${axis}_shifted % params.${axis}_divide != 0) { continue; }
      let ${axis}_from = ${axis}_shifted / params.${axis}_divide;`;
}

/**
 * Walk for CPU drivers, whose cost is loaded elements, not arithmetic: a workgroup of one subgroup keeps `pixels` neighbouring result pixels
 * times lanes x columns result channels in registers. The weights of a lane's channels, which must lie side by side in whole vectors, are
 * loaded for as many steps as there are lanes; then, pixel by pixel, the source channels of those steps are loaded one per lane and spread by
 * subgroupBroadcast, so that sums which do not fit into registers are moved once per pixel. All branches depend on the workgroup only.
 * Result pixels of a lane lie `divide` apart, so that a tap reaches either all of them or none.
 */
export function registerWalk(name: string, walk: Walk, tile: RegisterTile): Kernel {
  const { x, y, width, folded } = walk;
  const { lanes, subgroup, pixels, columns } = tile;
  const vectors = Math.ceil(width / columns);
  const tiles = Math.ceil(vectors / lanes);
  const T = vectorType(columns);
  const bindings = walkBindings(walk);
  const uniforms = [...walkUniforms(walk, columns), u32("vectors", vectors), u32("channel_tiles", tiles), u32("rows", walk.batch * y.result)];
  const { image, y: rowStep, x: pixelStep, channel } = walk.result;
  const dense = columns > 1 && channel === 1 && [width, image, rowStep, pixelStep].every((distance) => distance % columns === 0);
  const O = dense ? T : "f32";

  /** Source value of pixel r at depth `at`, zero outside. */
  const value = (r: number, at: string): string =>
    folded
      ? `select(0.0, source[source_row + clamp(from${r} + i32(${at}), 0, params.x_source - 1)], u32(from${r} + i32(${at})) < u32(params.x_source))`
      : `select(0.0, source[at${r} + (${at}) * params.source_channel], inside${r})`;
  const fma = (r: number, factor: string): string => `sum${r} = fma(${T}(${factor}), w, sum${r});`;
  const inner = subgroup
    ? `
      var l = 0u;
      for (; l + ${lanes}u <= params.depth; l += ${lanes}u) {
        let weight_step = weight_at + l * params.weight_depth;
${each(lanes, (s) => `let w${s} = weight[weight_step + ${s}u * params.weight_depth];`)}
${each(pixels, (r) => `{ let q = ${value(r, "l + lane")};\n${each(lanes, (s) => `sum${r} = fma(${T}(subgroupBroadcast(q, ${s}u)), w${s}, sum${r});`)} }`)}
      }
      if (l < params.depth) {
        let own = min(l + lane, params.depth - 1u);
${each(pixels, (r) => `let q${r} = ${value(r, "own")};`)}
        for (var step = 0u; l < params.depth; l += 1u) {
          let w = weight[weight_at + l * params.weight_depth];
${each(pixels, (r) => fma(r, `subgroupShuffle(q${r}, step)`))}
          step += 1u;
        }
      }`
    : `
      for (var l = 0u; l < params.depth; l += 1u) {
        let w = weight[weight_at + l * params.weight_depth];
${each(pixels, (r) => fma(r, value(r, "l")))}
      }`;
  const store = (r: number): string => {
    const at = `result_row + (x0 + ${r}u * x_apart) * params.result_x`;
    if (dense) return `result[(${at}) / ${columns}u + vector] = activate(sum${r}${walk.bias ? " + own_bias" : ""});`;
    const one = (column: number): string => `if (channel + ${column}u < params.width) {
  result[${at} + (channel + ${column}u) * params.result_channel] = activate(sum${r}${columns === 1 ? "" : `.${"xy".charAt(column)}`}${walk.bias ? ` + bias[group * params.width + channel + ${column}u]` : ""});
}`;
    return each(columns, one);
  };
  const wgsl = `${subgroup ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, { weight: T, result: O, bias: O })}
${activationWgsl(walk.activation, O)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = tile.x / params.channel_tiles;
  let vector = tile.x % params.channel_tiles * ${lanes}u + lane;
  let channel = vector * ${columns}u;
  let weight_lane = group * params.weight_group + min(vector, params.vectors - 1u);
  let x_apart = u32(params.x_divide);
  let x0 = tile.y % x_apart + tile.y / x_apart * x_apart * ${pixels}u;
  for (var row = tile.z; row < params.rows; row += tiles.z) {
    let image = row / params.y_result;
    let y = row - image * params.y_result;
${each(pixels, (r) => `var sum${r} = ${T}();`)}
    for (var ky = 0u; ky < params.y_taps; ky += 1u) {
      ${coordinateWgsl("y", "y", "ky")}
      if (y_from < 0 || y_from >= params.y_source) { continue; }
      let source_row = ${folded ? "i32" : ""}(image * params.source_image + u32(y_from) * params.source_y + group * params.depth * params.source_channel);
      for (var kx = 0u; kx < params.x_taps; kx += 1u) {
      ${coordinateWgsl("x", "x0", "kx")}
      let weight_at = weight_lane + ky * params.weight_y + kx * params.weight_x;
${each(pixels, (r) => `let from${r} = x_from + ${r} * params.x_multiply;${folded ? "" : `
      let inside${r} = u32(from${r}) < u32(params.x_source);
      let at${r} = source_row + u32(clamp(from${r}, 0, params.x_source - 1)) * params.source_x;`}`)}
${inner}
      }
    }
    if (vector < params.vectors) {
    let result_row = image * params.result_image + y * params.result_y + group * params.width * params.result_channel;
${dense && walk.bias ? `let own_bias = bias[group * params.vectors + vector];` : ""}
${each(pixels, (r) => `if (x0 + ${r}u * x_apart < params.x_result) {\n${store(r)}\n}`)}
    }
  }
}
`;
  const rows = walk.batch * y.result;
  const xTiles = x.divide * Math.ceil(Math.ceil(x.result / x.divide) / pixels);
  return {
    name: `${name}.register${pixels}x${columns}`,
    wgsl,
    bindings,
    uniforms,
    grid: rows * x.result === 0 ? [0, 0, 0] : [walk.groups * tiles, xTiles, Math.min(maxGridDimension, rows)],
    cost: { flops: walk.flops, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => walkReference(walk, inputs),
  };
}
