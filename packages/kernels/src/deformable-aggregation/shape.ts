import { ShapeError } from "../errors.js";
import { requireSizes } from "../sizes.js";
import { levelSizes } from "../bilinear/levels.js";
import type { FeatureLevel, LevelSizes } from "../bilinear/levels.js";

/** Sizes of a deformable aggregation. */
export interface DeformableAggregationShape {
  readonly batch: number;
  readonly queries: number;
  /** Key points of a query. */
  readonly points: number;
  readonly cameras: number;
  /** Feature maps of every camera, at most 8; their pixels follow one another in the features. */
  readonly levels: readonly FeatureLevel[];
  /** Channel groups with weights of their own; a divisor of `channels`. */
  readonly groups: number;
  readonly channels: number;
}

/** What follows from the sizes: elements and rows of every tensor. */
export interface DeformableSizes extends LevelSizes {
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
  if (channels % groups !== 0) throw new ShapeError(`${where}: bad size groups, expected a divisor of the ${channels} channels, got ${groups}. Each group weighs the same number of channels.`);
  const { pixels, cells } = levelSizes(where, levels);
  const places = batch * queries * points * cameras;
  return { pixels, cells, places, features: batch * cameras * pixels * channels, location: places * 2, weights: places * levels.length * groups, output: batch * queries * channels };
}

/** `seen(at)`: whether a location lies strictly inside its image; `position(at, level)`: where it lies in a level, in pixels. */
export const seenWgsl = `
fn seen(at: vec2f) -> bool { return all(at > vec2f()) && all(at < vec2f(1.0)); }
fn position(at: vec2f, level: vec4u) -> vec2f { return at * vec2f(level.yx) - 0.5; }
`;
