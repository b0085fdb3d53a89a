import { ShapeError } from "../errors.js";
import type { Binding, UniformField } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/** One feature map. */
export interface FeatureLevel {
  readonly height: number;
  readonly width: number;
}

/** Feature maps the table in the uniforms has room for. */
export const maxLevels = 8;

/** Pixels of all levels of an image, and cells between four pixels, those over the border included: (height + 1) (width + 1) each. */
export interface LevelSizes {
  readonly pixels: number;
  readonly cells: number;
}

/** @throws ShapeError on empty levels, or too many */
export function levelSizes(where: string, levels: readonly FeatureLevel[]): LevelSizes {
  for (const { height, width } of levels) requireSizes(where, { height, width }, 1);
  if (levels.length > maxLevels) throw new ShapeError(`${where}: too many levels, expected at most ${maxLevels}, got ${levels.length}. Aggregate them in two calls and add the results.`);
  return {
    pixels: levels.reduce((sum, { height, width }) => sum + height * width, 0),
    cells: levels.reduce((sum, { height, width }) => sum + (height + 1) * (width + 1), 0),
  };
}

/** Height, width, first pixel and first cell of {@link maxLevels} levels, four uniform fields each. */
export function levelUniforms(levels: readonly FeatureLevel[]): UniformField[] {
  const fields: UniformField[] = [];
  let [pixel, cell] = [0, 0];
  for (let number = 0; number < maxLevels; number++) {
    const { height, width } = levels[number] ?? { height: 0, width: 0 };
    for (const [name, value] of Object.entries({ Height: height, Width: width, Pixel: pixel, Cell: cell })) fields.push({ name: `level${number}${name}`, type: "u32", value });
    pixel += height * width;
    cell += (height + 1) * (width + 1);
  }
  return fields;
}

/** Uniform fields of type u32. */
export function counts(values: Readonly<Record<string, number>>): UniformField[] {
  return Object.entries(values).map(([name, value]) => ({ name, type: "u32", value }));
}

/** Declares bindings and uniforms: first the fields of {@link levelUniforms} as `params.levels` (height, width, first pixel, first cell), then the others. */
export function declareWithLevels(bindings: readonly Binding[], fields: readonly UniformField[], elements: Readonly<Record<string, string>>): string {
  return `${declare(bindings, [], elements)}struct Params {
  levels: array<vec4u, ${maxLevels}>,
${fields.map(({ name, type }) => `  ${name}: ${type},`).join("\n")}
}
@group(0) @binding(${bindings.length}) var<uniform> params: Params;
`;
}

/**
 * `taps(position, level)`: the four pixels around a position in pixels, numbered within the image's pixels, with bilinear shares
 * along each axis; a pixel outside the map has share 0 (and `in_x` or `in_y` 0) and the number of one inside.
 */
export const tapsWgsl = `
struct Taps {
  pixels: vec4u,
  x: vec2f,
  y: vec2f,
  in_x: vec2f,
  in_y: vec2f,
}
fn taps(position: vec2f, level: vec4u) -> Taps {
  let size = vec2i(level.yx);
  let cell = floor(position);
  let share = position - cell;
  let low = vec2i(cell);
  let high = low + 1;
  let in_low = select(vec2f(), vec2f(1.0), (low >= vec2i()) & (low < size));
  let in_high = select(vec2f(), vec2f(1.0), (high >= vec2i()) & (high < size));
  let first = vec2u(clamp(low, vec2i(), size - 1));
  let last = vec2u(clamp(high, vec2i(), size - 1));
  let top = level.z + first.y * level.y;
  let bottom = level.z + last.y * level.y;
  return Taps(
    vec4u(top + first.x, top + last.x, bottom + first.x, bottom + last.x),
    vec2f((1.0 - share.x) * in_low.x, share.x * in_high.x),
    vec2f((1.0 - share.y) * in_low.y, share.y * in_high.y),
    vec2f(in_low.x, in_high.x),
    vec2f(in_low.y, in_high.y));
}
`;

/**
 * `slopes(t, top, bottom)`: derivatives of a bilinear value to the position, given what multiplies the two pixels of each row.
 */
export const slopesWgsl = `
fn slopes(t: Taps, top: vec2f, bottom: vec2f) -> vec2f {
  let turn = t.in_x * vec2f(-1.0, 1.0);
  return vec2f(t.y.x * dot(turn, top) + t.y.y * dot(turn, bottom), t.in_y.y * dot(t.x, bottom) - t.in_y.x * dot(t.x, top));
}
`;
