import type { Scene } from "../schema.js";
import { generateScene, type TownOptions } from "./scene.js";

export { generateScene, townSceneName, type TownOptions } from "./scene.js";

/** Options of a run of scenes. */
export interface TownRunOptions extends TownOptions {
  /** Seed of the first scene, default 0; the following scenes take the following seeds. */
  readonly seed?: number;
  /** How many scenes, default 1. */
  readonly scenes?: number;
}

/**
 * Makes scenes `seed`, `seed + 1`, ... of the synthetic town, one at a time as they are asked for.
 * @throws DatasetError when an option is out of range
 */
export function* generateTown({ seed = 0, scenes = 1, ...options }: TownRunOptions = {}): Generator<Scene, void, undefined> {
  for (let k = 0; k < scenes; k++) yield generateScene(seed + k, options);
}
