/**
 * Prints what the planners without parameters reach on real scenes, on original keyframes with 1 s of past:
 *
 *   node --conditions=@distilldrive/source --import tsx packages/metrics/examples/yardsticks.ts <folder with .pkl> 0655,1094 [rearAxle]
 *
 * The last argument plans for the rear axle instead of the lidar, the origin of the model frame; collisions are then
 * left out, because the ego box of the metric is placed for the lidar.
 */
import { featureBuilder, loadScenes, usableFrames } from "@distilldrive/datasets";
import { BASELINES, planningMetrics, type HorizonValues } from "../src/index.js";

const [folder, names, point] = process.argv.slice(2);
if (folder === undefined || names === undefined) throw new Error("usage: yardsticks.ts <folder with .pkl> <scene,scene,...> [rearAxle]");
const egoPoint = point === "rearAxle" ? "rearAxle" : "lidar";
const scenes = await loadScenes(folder, { only: names.split(",") });
const print = ({ at1s, at2s, at3s, average }: HorizonValues, factor: number): string => [at1s, at2s, at3s, average].map((value) => (factor * value).toFixed(3).padStart(7)).join(" ");

process.stdout.write(`${names}, ${egoPoint}; 1 s, 2 s, 3 s, average\n`);
for (const [name, planner] of Object.entries(BASELINES)) {
  const metrics = planningMetrics();
  for (const scene of scenes) {
    const sampleAt = featureBuilder(scene);
    const past = Math.round(1 / scene.interval);
    for (const frame of usableFrames(scene, { phase: 0 }).filter((candidate) => candidate >= past)) {
      const sample = sampleAt(frame, { egoPoint });
      metrics.add({ sample, waypoints: planner(sample, egoPoint === "rearAxle" ? { ahead: 0 } : {}) });
    }
  }
  const { overall } = metrics.result();
  if (overall === null) continue;
  for (const convention of ["cumulative", "atStep"] as const) {
    const { l2, collision } = overall[convention];
    const collisions = egoPoint === "lidar" ? `   collision ${print(collision, 100)} %` : "";
    process.stdout.write(`${name.padEnd(20)} ${convention.padEnd(11)} L2 ${print(l2, 1)} m${collisions}   ${overall.samples} samples\n`);
  }
}
