import { ShapeError } from "../errors.js";
import type { Binding, UniformField } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";

/** Sizes of a deformable aggregation. */
export interface DeformableAggregationShape {
  readonly batch: number;
  readonly queries: number;
  /** Key points of a query. */
  readonly points: number;
  readonly cameras: number;
  /** Feature maps of every camera, at most {@link maxLevels}; their pixels follow one another in the features. */
  readonly levels: readonly FeatureLevel[];
  /** Channel groups with weights of their own; a divisor of `channels`. */
  readonly groups: number;
  readonly channels: number;
}

/** One feature map. */
export interface FeatureLevel {
  readonly height: number;
  readonly width: number;
}

/** Feature maps the table in the uniforms has room for. */
export const maxLevels = 8;

/** What follows from the sizes: elements and rows of every tensor. */
export interface DeformableSizes {
  /** Pixels of a camera, over all levels. */
  readonly pixels: number;
  /** Cells between four pixels of a camera over all levels, those over the border included: (height + 1) (width + 1) each. */
  readonly cells: number;
  /** Point and camera pairs: batch x queries x points x cameras. */
  readonly places: number;
  readonly features: number;
  readonly location: number;
  readonly weights: number;
  readonly output: number;
}

/** @throws ShapeError on bad sizes, too many levels, or groups that do not divide the channels */
export function deformableSizes(where: string, shape: DeformableAggregationShape): DeformableSizes {
  const { batch, queries, points, cameras, levels, groups, channels } = shape;
  requireSizes(where, { batch, queries, points, cameras, channels });
  requireSizes(where, { groups }, 1);
  for (const { height, width } of levels) requireSizes(where, { height, width }, 1);
  if (levels.length > maxLevels) throw new ShapeError(`${where}: too many levels, expected at most ${maxLevels}, got ${levels.length}. Aggregate them in two calls and add the results.`);
  if (channels % groups !== 0) throw new ShapeError(`${where}: bad size groups, expected a divisor of the ${channels} channels, got ${groups}. Each group weighs the same number of channels.`);
  const pixels = levels.reduce((sum, { height, width }) => sum + height * width, 0);
  const cells = levels.reduce((sum, { height, width }) => sum + (height + 1) * (width + 1), 0);
  const places = batch * queries * points * cameras;
  return { pixels, cells, places, features: batch * cameras * pixels * channels, location: places * 2, weights: places * levels.length * groups, output: batch * queries * channels };
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

/** Declares bindings and uniforms: first the fields of {@link levelUniforms} as `params.levels`, then the sizes. */
export function declareWithLevels(bindings: readonly Binding[], sizes: readonly UniformField[], elements: Readonly<Record<string, string>>): string {
  return `${declare(bindings, [], elements)}struct Params {
  levels: array<vec4u, ${maxLevels}>,
${sizes.map(({ name, type }) => `  ${name}: ${type},`).join("\n")}
}
@group(0) @binding(${bindings.length}) var<uniform> params: Params;
`;
}

/**
 * `seen(at)`: whether a location lies strictly inside its image. `taps(at, level)`: the four pixels around it, numbered within the
 * camera's pixels, with bilinear shares along each axis; a pixel outside the map has share 0 (and `in_x` or `in_y` 0) and the number of one inside.
 */
export const tapsWgsl = `
struct Taps {
  pixels: vec4u,
  x: vec2f,
  y: vec2f,
  in_x: vec2f,
  in_y: vec2f,
}
fn seen(at: vec2f) -> bool { return all(at > vec2f()) && all(at < vec2f(1.0)); }
fn taps(at: vec2f, level: vec4u) -> Taps {
  let size = vec2i(level.yx);
  let position = at * vec2f(size) - 0.5;
  let cell = floor(position);
  let share = position - cell;
  let low = vec2i(cell);
  let high = low + 1;
  let in_low = select(vec2f(), vec2f(1.0), low >= vec2i());
  let in_high = select(vec2f(), vec2f(1.0), high < size);
  let first = vec2u(max(low, vec2i()));
  let last = vec2u(min(high, size - 1));
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
