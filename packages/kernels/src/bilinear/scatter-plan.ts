import type { UniformField } from "../kernel.js";
import { levelSizes } from "./levels.js";
import type { FeatureLevel } from "./levels.js";
import type { BilinearSample } from "./reference.js";

/** A scatter of rows to the pixels they were sampled from, as data. */
export interface ScatterPlan {
  /** The operation, for names and messages. */
  readonly name: string;
  /** Feature maps of every image, and images. */
  readonly levels: readonly FeatureLevel[];
  readonly images: number;
  readonly channels: number;
  /** Channel groups; each entry has a weight for every one of them when `weighted`, else all weigh 1. */
  readonly groups: number;
  readonly weighted: boolean;
  /** Rows of location [locations, 2]. */
  readonly locations: number;
  /** Samples when none is left out, numbered 0 .. entries - 1. */
  readonly entries: number;
  /** Rows of dy [owners, channels]. */
  readonly owners: number;
  /** Uniform fields `wgsl` needs besides `params.levels` and `params.cells`. */
  readonly fields: readonly UniformField[];
  /**
   * Functions over `params`: `location_of(entry: u32) -> u32`, the row of its location; `located(entry: u32, at: vec2f) -> bool`,
   * whether the sample counts; `level_of(entry: u32) -> vec4u`; `position_of(entry: u32, at: vec2f) -> vec2f` in pixels of that
   * level, at least -1 and below its size where the sample counts; `image_of(entry: u32) -> u32`; `owner_of(entry: u32) -> u32`.
   */
  readonly wgsl: string;
  /** The row of dy a sample goes to. */
  ownerOf(entry: number): number;
  /** The samples that count, in order, in float64. */
  samples(location: Float64Array): readonly BilinearSample[];
}

/** What follows from a plan's sizes. */
export function scatterSizes({ name, levels, images, channels }: ScatterPlan): { readonly pixels: number; readonly cells: number; readonly bins: number; readonly features: number } {
  const { pixels, cells } = levelSizes(name, levels);
  return { pixels, cells, bins: images * cells, features: images * pixels * channels };
}
