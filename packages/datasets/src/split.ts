import { DatasetError } from "./errors.js";
import { resolveSceneNames } from "./names.js";
import type { Scene } from "./schema.js";

/** Scenes to learn from and scenes held out. */
export interface SceneSplit {
  readonly train: readonly Scene[];
  readonly val: readonly Scene[];
}

/**
 * Holds whole scenes out. Both parts keep the order of `scenes`.
 * @param val names of the scenes to hold out: "0655" or "scene-0655"; may be empty
 * @throws DatasetError for an unknown name (with the scenes there are and the nearest), or when none is left to train on
 */
export function splitScenes(scenes: readonly Scene[], val: readonly string[]): SceneSplit {
  const held = resolveSceneNames(val, scenes.map((scene) => scene.id), "split");
  const train = scenes.filter((scene) => !held.includes(scene.id));
  if (train.length === 0) {
    throw new DatasetError(`split: no scenes to train on, expected fewer than ${scenes.length} held out, got ${held.length}. Hold out fewer scenes, or add some.`);
  }
  return { train, val: scenes.filter((scene) => held.includes(scene.id)) };
}
