import { encodeScene, generateTown, SCENE_FILE_SUFFIX, type TownRunOptions, townSceneName } from "@distilldrive/datasets";
import path from "node:path";
import { writeWhole } from "./files.js";

/**
 * Writes scenes of the town, one whole file after the other.
 * @param present files that are there already and are kept as they are; default none
 * @returns names of all files, in the order of their seeds
 * @throws the signal's reason when it is aborted; what was written until then is complete
 */
export async function writeTown(folder: string, options: TownRunOptions, signal: AbortSignal, progress: (done: number) => void, present: readonly string[] = []): Promise<string[]> {
  const { seed = 0, scenes = 1, ...town } = options;
  const files: string[] = [];
  for (let k = 0; k < scenes; k++) {
    signal.throwIfAborted();
    const name = `${townSceneName(seed + k)}${SCENE_FILE_SUFFIX}`;
    if (!present.includes(name)) {
      for (const scene of generateTown({ ...town, seed: seed + k })) await writeWhole(path.join(folder, name), encodeScene(scene));
    }
    files.push(name);
    progress(k + 1);
    // Lets an interrupt in between two scenes.
    await new Promise(setImmediate);
  }
  return files;
}
