import { buildAnchors, loadScenes, MODES, splitScenes } from "@distilldrive/datasets";
import { type Command, InvalidArgumentError } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { writeAnchors } from "../runs/anchor-files.js";
import { requireWritable } from "../runs/files.js";
import { nameList, wholeNumber } from "../runs/options.js";

interface AnchorOptions {
  readonly data: string;
  readonly out: string;
  readonly val?: readonly string[];
  readonly planModes: number;
  readonly motionModes: number;
  readonly seed: number;
  readonly mirror: boolean;
  readonly json?: boolean;
}

/** `distilldrive data anchors`: plan and motion vocabularies of scenes by k-means. */
export function dataAnchorsCommand({ io, finish }: Context): Command {
  return describeCommand("anchors", "Cluster driven paths per command, and agents' paths per class: the vocabularies a planner starts from.", [
    ["npx distilldrive data anchors --data data/ --val 0655,1094 --out anchors", "kmeans_plan_6.npy and kmeans_motion_6.npy in anchors/"],
    ["npx distilldrive train teacher --data data/ --val 0655,1094 --anchors anchors", "train with them"],
  ])
    .requiredOption("--data <path>", "folder with scenes")
    .requiredOption("--out <folder>", "where to; files of the same name are replaced")
    .option("--val <scenes>", "scenes to leave out, separated by commas", nameList)
    .option("--plan-modes <n>", "modes per command, 1 to 20; our planners read 6", modeCount, MODES)
    .option("--motion-modes <n>", "modes per class, likewise", modeCount, MODES)
    .option("--seed <n>", "seed of the clustering: same scenes, same seed, same bytes", wholeNumber(0), 0)
    .option("--no-mirror", "leave out the paths mirrored left to right")
    .option("--json", "print one JSON object")
    .action(async ({ data, out, val = [], planModes, motionModes, seed, mirror, json }: AnchorOptions) => {
      await requireWritable(out, "data anchors");
      const { train } = splitScenes(await loadScenes(data), val);
      const anchors = buildAnchors(train, { planModes, motionModes, seed, mirror });
      const files = await writeAnchors(out, anchors);
      const { planSamples, motionSamples } = anchors;
      if (json === true) writeJson(io, { scenes: train.map(({ id }) => id), files, planSamples, motionSamples });
      else io.out(`${files.map(({ file, shape }) => `${file}  [${shape.join(", ")}]`).join("\n")}\nfrom ${train.length} scenes: ${planSamples.join(", ")} paths right, left, straight; ${motionSamples.reduce((a, b) => a + b, 0)} paths of agents\n`);
      finish(0);
    });
}

function modeCount(text: string): number {
  const modes = wholeNumber(1)(text);
  if (modes > 20) throw new InvalidArgumentError("Expected a whole number, 1 to 20.");
  return modes;
}
