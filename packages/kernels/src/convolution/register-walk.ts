import type { Kernel, UniformField } from "../kernel.js";
import { activationWgsl } from "../matmul/activation.js";
import { maxGridDimension } from "../matmul/shape.js";
import { declare } from "../wgsl.js";
import { component, each, type Lanes, wholeVectors } from "./tile.js";
import { type Walk, walkBindings, walkReference, walkUniforms } from "./walk.js";
import { channelWeights } from "./walk-weights.js";

/** Register tile of {@link registerWalk}. */
export interface RegisterTile extends Lanes {
  /** Result channels per lane: a multiple of 4. */
  readonly rows: number;
}

/** Result pixels per lane. */
const pixels = 4;
/** Source channels loaded at once. */
const depth = 4;

/** WGSL that numbers the pixels of a lane: `image`, `y` and `x` of each, the divisions for the first one only. */
const places = `
    let pixel = tile0 + lane * ${pixels}u;
    let line = pixel / params.columns_apart;
    let x0 = pixel - line * params.columns_apart;
    let image0 = line / params.rows_apart;
    let y0 = line - image0 * params.rows_apart;
${each(pixels - 1, (c) => `let wrap${c + 1} = x${c} + 1u == params.columns_apart;
let x${c + 1} = select(x${c} + 1u, 0u, wrap${c + 1});
let wrap_y${c + 1} = wrap${c + 1} && y${c} + 1u == params.rows_apart;
let y${c + 1} = select(y${c} + select(0u, 1u, wrap${c + 1}), 0u, wrap_y${c + 1});
let image${c + 1} = image${c} + select(0u, 1u, wrap_y${c + 1});`)}`;

/**
 * Walk for CPU drivers, as an implicit matrix product: `rows` result channels times four pixels of each lane. Four source channels of a tap
 * at a time, each lane loads its own pixels, and the lanes together load every weight once and spread it. Where pixels lie is worked out
 * once per tap; those outside count as zero. Pixels are numbered through rows and images, so that no lane is idle at their ends; those of a
 * tile have the same remainder by `divide`, so that a tap reaches either all of them or none.
 */
export function registerWalk(name: string, walk: Walk, tile: RegisterTile): Kernel {
  const { x, y, width, source, result } = walk;
  const { rows: R, lanes, subgroup } = tile;
  const bindings = walkBindings(walk);
  const weights = channelWeights(walk, tile);
  const vectors = source.channel === 1 && wholeVectors(walk.depth, source.image, source.y, source.x);
  const dense = result.channel === 1 && wholeVectors(width, result.image, result.y, result.x);
  const O = dense ? "vec4f" : "f32";
  const tiles = Math.ceil(width / R);
  const [rowsApart, columnsApart] = [Math.ceil(y.result / y.divide), Math.ceil(x.result / x.divide)];
  const count = walk.batch * rowsApart * columnsApart;
  const strided = x.divide > 1 || y.divide > 1;
  const u32 = (field: string, value: number): UniformField => ({ name: field, type: "u32", value });
  const uniforms = [
    ...walkUniforms(walk, { source: vectors ? 4 : 1, weight: weights.vector, result: dense ? 4 : 1 }),
    u32("channel_tiles", tiles), u32("pixels", count), u32("rows_apart", rowsApart), u32("columns_apart", columnsApart),
  ];

  const value = (c: number, l: string): string => `select(0.0, source[at${c} + (${l}) * params.source_channel], inside${c})`;
  const loadPixels = each(pixels, (c) => `let v${c} = ${vectors ? `select(vec4f(), source[at${c} + l / 4u], inside${c})` : `vec4f(${each(depth, (i) => value(c, `l + ${i}u`), ", ")})`};`);
  const fma = (r: number, factor: string, p: string): string => `sum${r} = fma(vec4f(${factor}), ${p}, sum${r});`;
  // Four rows at a time through all steps: their sums stay in registers, those of the others wait on the stack.
  const block = each(R / 4, (g) => each(depth, (i) => each(4, (r) => fma(4 * g + r, weights.value(4 * g + r, i), `p${i}`))));
  const blocks = walk.depth < depth ? "" : `
      for (; l + ${depth}u <= params.depth; l += ${depth}u) {
${loadPixels}
${each(depth, (i) => `let p${i} = vec4f(${each(pixels, (c) => `v${c}.${component(i)}`, ", ")});`)}
${weights.load}
${block}
      }`;
  const tail = walk.depth % depth === 0 ? "" : `
      for (; l < params.depth; l += 1u) {
        let p = vec4f(${each(pixels, (c) => value(c, "l"), ", ")});
${weights.loadOne}
${each(R, (r) => fma(r, weights.valueOne(r), "p"))}
      }`;
  /** Source coordinate of a pixel under a tap = place * multiply + shift. */
  const shift = (axis: "x" | "y"): string =>
    strided
      ? `let ${axis}_shifted = remainder_${axis} * params.${axis}_multiply + params.${axis}_offset + i32(k${axis}) * params.${axis}_step;
      if (${axis}_shifted % params.${axis}_divide != 0) { continue; }
      let ${axis}_shift = ${axis}_shifted / params.${axis}_divide;`
      : `let ${axis}_shift = params.${axis}_offset + i32(k${axis}) * params.${axis}_step;`;
  const place = (axis: "x" | "y"): string => (strided ? `(${axis} * u32(params.${axis}_divide) + u32(remainder_${axis}))` : axis);
  const store = dense
    ? `result[into + channel / 4u] = activate(vec4f(${each(4, (r) => `sum${r}[c]`, ", ")}));`
    : `let values = vec4f(${each(4, (r) => `sum${r}[c]`, ", ")});
        for (var r = 0u; r < min(4u, params.width - channel0 - done); r += 1u) {
          result[into + (channel + r) * params.result_channel] = activate(values[r]);
        }`;
  const wgsl = `${subgroup ? "enable subgroups;\n" : ""}${declare(bindings, uniforms, { source: vectors ? "vec4f" : "f32", weight: weights.element, result: O })}
${activationWgsl(walk.activation, O)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(num_workgroups) tiles: vec3u, @builtin(${subgroup ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = tile.x / params.channel_tiles;
  let channel0 = tile.x % params.channel_tiles * ${R}u;
${strided ? "let remainder_x = i32(tile.z) % params.x_divide;\nlet remainder_y = i32(tile.z) / params.x_divide;" : ""}
${weights.setUp}
  for (var tile0 = tile.y * ${lanes * pixels}u; tile0 < params.pixels; tile0 += tiles.y * ${lanes * pixels}u) {
${places}
${each(R, (r) => `var sum${r} = vec4f(${walk.bias ? `bias[group * params.width + min(channel0 + ${r}u, params.width - 1u)]` : ""});`)}
    for (var ky = 0u; ky < params.y_taps; ky += 1u) {
      ${shift("y")}
${each(pixels, (c) => `let y_from${c} = i32(y${c}) * params.y_multiply + y_shift;
let inside_y${c} = pixel + ${c}u < params.pixels && u32(y_from${c}) < u32(params.y_source);
let row_at${c} = image${c} * params.source_image + u32(y_from${c}) * params.source_y + group * params.depth${vectors ? " / 4u" : " * params.source_channel"};`)}
      for (var kx = 0u; kx < params.x_taps; kx += 1u) {
      ${shift("x")}
      let tap = ky * params.weight_y + kx * params.weight_x;
${each(pixels, (c) => `let from${c} = i32(x${c}) * params.x_multiply + x_shift;
let inside${c} = inside_y${c} && u32(from${c}) < u32(params.x_source);
let at${c} = select(0u, row_at${c} + u32(from${c}) * params.source_x, inside${c});`)}
      var l = 0u;
${blocks}${tail}
      }
    }
    for (var done = 0u; done < min(${R}u, params.width - channel0); done += 4u) {
      let channel = group * params.width + channel0 + done;
      var x = x0;
      var y = y0;
      var image = image0;
      // A loop, because stores unrolled for every pixel would make most of the shader's text, and compile time counts.
      for (var c = 0u; c < min(${pixels}u, params.pixels - min(pixel, params.pixels)); c += 1u) {
        ${strided ? `if (${place("y")} < params.y_result && ${place("x")} < params.x_result) {` : "{"}
        let into = image * params.result_image + ${place("y")} * params.result_y + ${place("x")} * params.result_x;
        ${store}
        }
        x += 1u;
        if (x == params.columns_apart) { x = 0u; y += 1u; }
        if (y == params.rows_apart) { y = 0u; image += 1u; }
      }
${each(R - 4, (r) => `sum${r} = sum${r + 4};`)}
    }
  }
}
`;
  return {
    name: `${name}.register${R}`,
    wgsl,
    bindings,
    uniforms,
    grid: count === 0 ? [0, 0, 0] : [walk.groups * tiles, Math.min(maxGridDimension, Math.ceil(count / (lanes * pixels))), y.divide * x.divide],
    cost: { flops: walk.flops, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference: (inputs) => walkReference(walk, inputs),
  };
}
