import { DatasetError, evaluationStream, loadScenes, type Sample, type Scene, splitScenes, type SceneSplit } from "@distilldrive/datasets";
import type { Run } from "./run-file.js";

/** Scenes of a run by name, in the order of the run. @throws DatasetError when one is not there any more */
export async function scenesOf(path: string, names: readonly string[], where: string): Promise<Scene[]> {
  if (names.length === 0) return [];
  const scenes = (await scenesByFile(path, names)) ?? (await loadScenes(path));
  return names.map((name) => {
    const scene = scenes.find(({ id }) => id === name);
    if (scene !== undefined) return scene;
    throw new DatasetError(`${where}: ${path} does not hold ${name} any more, which the run uses, expected all of ${names.join(", ")}. Give the folder that has them with --data.`);
  });
}

/** Scenes by their files' names, so that others need not be read; null where files are named otherwise than the scenes in them. */
async function scenesByFile(path: string, names: readonly string[]): Promise<Scene[] | null> {
  try {
    const scenes = await loadScenes(path, { only: names });
    return names.every((name) => scenes.some(({ id }) => id === name)) ? scenes : null;
  } catch (cause) {
    if (cause instanceof DatasetError) return null;
    throw cause;
  }
}

/** The training and held-out scenes of a new run. */
export async function splitData(path: string, val: readonly string[]): Promise<SceneSplit> {
  return splitScenes(await loadScenes(path), val);
}

/** The training and held-out scenes of a run that goes on. */
export async function sameData(run: Run, path: string): Promise<SceneSplit> {
  const { train, val } = run.data;
  const scenes = await scenesOf(path, [...train, ...val], "train");
  return { train: scenes.slice(0, train.length), val: scenes.slice(train.length) };
}

/** Samples of held-out scenes in the order in which planners are evaluated with one lane. */
export function heldOutSamples(scenes: readonly Scene[]): Sample[] {
  const stream = evaluationStream(scenes);
  const samples: Sample[] = [];
  for (let batch = stream.next(); batch !== null; batch = stream.next()) for (const sample of batch.samples) if (sample !== null) samples.push(sample);
  return samples;
}
