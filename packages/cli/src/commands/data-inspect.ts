import { describeScene, loadScenes, type SceneSummary } from "@distilldrive/datasets";
import { type TextCell, textTable } from "@distilldrive/viewer";
import type { Command } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";

/** `distilldrive data inspect`: one row per scene. */
export function dataInspectCommand(context: Context): Command {
  return describeCommand("inspect", "List the scenes of a folder or file: length, traffic, map, commands, flaws.", [
    ["npx distilldrive data inspect data/", "a table"],
    ["npx distilldrive data inspect data/scene-0061.pkl --json", "everything, for machines"],
  ])
    .argument("<path>", "folder of nuScenes, of Argoverse 2 logs, with .pkl (ScenarioNet) or .scene.json files, or one such file")
    .option("--json", "print one JSON object")
    .action(async (path: string, options: { json?: boolean }) => {
      const scenes = (await loadScenes(path)).map(describeScene);
      if (options.json === true) writeJson(context.io, { path, scenes });
      else context.io.out(formatScenes(scenes));
      context.finish(0);
    });
}

/** Table of scenes, with totals, and what the columns mean. */
function formatScenes(scenes: readonly SceneSummary[]): string {
  const header = ["scene", "side", "s", "frames", "usable", "m", "m/s", "right", "left", "straight", "vehicles", "people", "other", "lines", "lanes", "jumps"];
  const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  const rows = scenes.map((scene): TextCell[] => {
    const { car = 0, truck = 0, construction_vehicle = 0, bus = 0, trailer = 0, motorcycle = 0, bicycle = 0, pedestrian = 0 } = scene.agents;
    const vehicles = car + truck + construction_vehicle + bus + trailer + motorcycle + bicycle;
    return [
      scene.id,
      scene.drivingSide,
      scene.duration.toFixed(1),
      String(scene.frames),
      String(scene.usableFrames),
      scene.distance.toFixed(0),
      scene.meanSpeed.toFixed(1),
      ...(["right", "left", "straight"] as const).map((command) => String(scene.commands[command])),
      String(vehicles),
      String(pedestrian),
      String(sum(scene.agents) - vehicles - pedestrian),
      String(sum(scene.lines)),
      String(scene.lanes),
      scene.jumps.length === 0 ? "" : scene.jumps.join(" "),
    ];
  });
  const total = (value: (scene: SceneSummary) => number): string => scenes.reduce((all, scene) => all + value(scene), 0).toFixed(0);
  const notes = [
    `${scenes.length} ${scenes.length === 1 ? "scene" : "scenes"}, ${total((scene) => scene.duration)} s, ${total((scene) => scene.distance)} m driven, ${total((scene) => scene.usableFrames)} usable frames`,
    "usable: frames with a whole 3 s future; right, left, straight: usable frames by command; jumps: frames where the recorded pose jumps",
  ];
  return `${textTable([header, ...rows])}\n\n${notes.join("\n")}\n`;
}
