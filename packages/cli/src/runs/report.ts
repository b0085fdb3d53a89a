import { createCameraRenderer, type Scene } from "@distilldrive/datasets";
import type { Device } from "@distilldrive/tensor";
import { formatDuration } from "@distilldrive/training";
import { type CameraStrip, type PlannerResult, type Report, reportHtml, type ReportPicture } from "@distilldrive/viewer";
import path from "node:path";
import { RunError } from "../errors.js";
import type { RunEvaluation } from "./evaluation.js";
import { drawCameras, pickMoments, planPicture } from "./pictures.js";
import { formatMebibytes } from "./profile.js";
import { trainingCharts } from "./report-charts.js";
import { readStatistics } from "./statistics.js";

/** Bird's-eye pictures per run. */
const PICTURES = 6;
/** Camera strips in a report with a student. */
const STRIPS = 3;
/** px a camera of a strip is wide: larger than the student's, so that people see what is there. */
const STRIP_WIDTH = 384;

/** Words of a report that its content does not say. */
export interface ReportWords {
  readonly title: string;
  readonly summary?: string;
  /** More facts of the run, by name. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/**
 * One HTML file about runs that were evaluated on the same scenes: tables, loss curves, bird's-eye pictures of the same
 * moments for every run, and what the cameras saw where a run plans from cameras.
 * @throws RunError when the runs were evaluated on different scenes
 */
export async function buildReport(evaluations: readonly RunEvaluation[], device: Device, words: ReportWords): Promise<string> {
  const [first, ...others] = evaluations;
  if (first === undefined) throw new RunError("report: no runs, expected at least one. Add --run <folder>.");
  for (const { folder, scenes } of others) {
    const [expected, got] = [first.scenes, scenes].map((list) => list.map(({ id }) => id).join(", "));
    if (expected !== got) throw new RunError(`report: ${folder} was not evaluated on the scenes of ${first.folder}, expected ${expected ?? ""}, got ${got ?? ""}. Compare runs that hold out the same scenes, or give --data and --val.`);
  }
  const names = runNames(evaluations);
  const moments = pickMoments(first.plans.map(({ sample }) => sample), PICTURES);
  const keyOf = ({ sample }: RunEvaluation["plans"][number]): string => `${sample.scene}/${sample.frame}`;
  const chosen = moments.flatMap((index) => first.plans.slice(index, index + 1)).map(keyOf);
  const pictures: ReportPicture[] = [];
  for (const key of chosen) {
    for (const [i, { plans, scenes, planner }] of evaluations.entries()) {
      const plan = plans.find((each) => keyOf(each) === key);
      const scene = plan && sceneOf(scenes, plan.sample.scene);
      if (plan && scene) pictures.push(planPicture(scene, names[i] ?? planner.name, plan));
    }
  }
  const samples = first.plans.length;
  const report: Report = {
    title: words.title,
    ...(words.summary === undefined ? {} : { summary: words.summary }),
    highlights: highlightsOf(evaluations),
    planners: resultsOf(evaluations),
    plannersNote: `${samples} keyframes of ${first.scenes.length} held-out ${first.scenes.length === 1 ? "scene" : "scenes"} (${shortList(first.scenes.map(({ id }) => id))}).`,
    charts: await trainingCharts(evaluations.map(({ folder }, i) => ({ folder, name: names[i] ?? path.basename(folder) }))),
    pictures,
    cameras: await cameraStrips(evaluations, chosen, device),
    run: { ...(await factsOf(evaluations)), adapter: device.description, ...words.facts },
  };
  return reportHtml(report);
}

/** Baselines once, then every run. */
export function resultsOf(evaluations: readonly RunEvaluation[]): PlannerResult[] {
  const baselines = new Map(evaluations.flatMap((evaluation) => evaluation.baselines.map((result) => [result.name, result] as const)).reverse());
  const names = runNames(evaluations);
  const ordered = ["stand still", "constant velocity", "constant turn rate", "ego-status MLP"].flatMap((name) => baselines.get(name) ?? []);
  const runs = evaluations.map(({ planner }, i) => ({ ...planner, name: names[i] ?? planner.name }));
  return [...ordered, ...runs];
}

/** How the report calls runs: those of the same kind are told apart by their folders. */
export function runNames(evaluations: readonly RunEvaluation[]): string[] {
  const names = evaluations.map(({ planner }) => planner.name);
  const folders = folderNames(evaluations.map(({ folder }) => folder));
  return evaluations.map(({ planner }, i) => (names.filter((name) => name === planner.name).length > 1 ? `${planner.name} (${folders[i] ?? ""})` : planner.name));
}

/** What tells folders apart: their paths without the parts that all of them begin and end with; the last part, where nothing does. */
export function folderNames(folders: readonly string[]): string[] {
  const parts = folders.map((folder) => path.resolve(folder).split(path.sep));
  const [first = []] = parts;
  const shared = (at: (of: readonly string[], i: number) => string | undefined, most: number): number => {
    let count = 0;
    while (count < most && parts.every((other) => at(other, count) === at(first, count))) count++;
    return count;
  };
  const shortest = Math.min(...parts.map(({ length }) => length));
  const begin = shared((of, i) => of[i], shortest - 1);
  const end = shared((of, i) => of[of.length - 1 - i], shortest - 1 - begin);
  return parts.map((of) => of.slice(begin, of.length - end).join("/"));
}

function sceneOf(scenes: readonly Scene[], id: string): Scene | undefined {
  return scenes.find((scene) => scene.id === id);
}

/** Average cumulative L2 of every run, and how it compares with constant velocity. */
function highlightsOf(evaluations: readonly RunEvaluation[]): { label: string; value: string; detail: string }[] {
  const results = resultsOf(evaluations);
  const averageOf = ({ table }: PlannerResult): number => table.overall?.cumulative.l2.average ?? Number.NaN;
  const reference = results.find(({ name }) => name === "constant velocity");
  return results.filter(({ emphasis }) => emphasis === true).map((result) => ({
    label: result.name,
    value: `${averageOf(result).toFixed(2)} m`,
    detail: reference === undefined ? "average L2" : `average L2, ${comparison(averageOf(result), averageOf(reference))} constant velocity (${averageOf(reference).toFixed(2)} m)`,
  }));
}

/** "38 % below". */
export function comparison(value: number, reference: number): string {
  const change = Math.round(100 * (value / reference - 1));
  return change === 0 ? "level with" : `${Math.abs(change)} % ${change < 0 ? "below" : "above"}`;
}

/** What the cameras of the first student saw at some of the pictured moments. */
async function cameraStrips(evaluations: readonly RunEvaluation[], chosen: readonly string[], device: Device): Promise<CameraStrip[]> {
  for (const { run, plans, scenes } of evaluations) {
    if (run.task === "teacher") continue;
    const { width, height } = run.model.image;
    const renderer = createCameraRenderer(device.gpu, { width: STRIP_WIDTH, height: Math.max(1, Math.round((STRIP_WIDTH * height) / width)) });
    try {
      const strips: CameraStrip[] = [];
      for (const { sample } of plans.filter((plan) => chosen.includes(`${plan.sample.scene}/${plan.sample.frame}`)).slice(0, STRIPS)) {
        const scene = sceneOf(scenes, sample.scene);
        if (scene) strips.push(await drawCameras(renderer, scene, sample.frame, `${sample.scene}, frame ${sample.frame}. The student gets these pictures at ${width} x ${height} pixels.`));
      }
      return strips;
    } finally {
      renderer.destroy();
    }
  }
  return [];
}

async function factsOf(evaluations: readonly RunEvaluation[]): Promise<Record<string, string>> {
  const facts: Record<string, string> = {};
  const folders = folderNames(evaluations.map(({ folder }) => folder));
  for (const [i, { folder, run, planner, step }] of evaluations.entries()) {
    const statistics = await readStatistics(folder);
    const { train } = run.data;
    const cost = statistics === null ? "" : `, ${formatDuration(statistics.seconds)} of training, ${(statistics.samples / Math.max(statistics.seconds, Number.MIN_VALUE)).toFixed(1)} samples/s, ${formatMebibytes(statistics.gpuBytes)} on the device`;
    const training = run.imported ? `weights imported from ${run.imported.file}` : `seed ${run.settings.seed}, ${step} of ${run.steps} steps${cost}; trained on ${train.length} scenes: ${shortList(train)}`;
    facts[`${planner.name} (${folders[i] ?? ""})`] = `preset ${run.settings.preset}, ${training}`;
    facts["versions"] = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  }
  return facts;
}

/** At most eight names, then how many more. */
function shortList(names: readonly string[]): string {
  return names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
}
