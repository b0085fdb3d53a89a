import { type Camera, cameraStrip, type CameraRenderer, COMMANDS, sampleFeatures, type Sample, type Scene } from "@distilldrive/datasets";
import { cumulate, pathDistances } from "@distilldrive/metrics";
import type { EvaluatedPlan } from "@distilldrive/training";
import { birdsEyeSvg, CAMERA_ROWS, type CameraStrip, type PicturedPlan, type ReportPicture, roadAround } from "@distilldrive/viewer";

/** Modes of one command. */
const MODES = 6;

/** Bird's-eye view of a moment without a planner: map, agents, and the driven path where it is known. */
export function momentSvg(scene: Scene, frame: number): string {
  const sample = sampleFeatures(scene, frame);
  const known = sample.egoFutureMask.every((value) => value === 1);
  return birdsEyeSvg({
    sample,
    road: roadAround(scene, { frame }),
    title: `${scene.id}, frame ${frame}`,
    ...(known ? { expert: cumulate(sample.egoFuture) } : {}),
  });
}

/** Bird's-eye view of a plan: all modes, those of the command with their probabilities, the chosen one on top. */
export function planPicture(scene: Scene, planner: string, plan: EvaluatedPlan): ReportPicture {
  const { frame } = plan.sample;
  const sample = sampleFeatures(scene, frame);
  const expert = cumulate(sample.egoFuture);
  const distances = pathDistances(plan.positions, expert);
  const mean = distances.reduce((a, b) => a + b, 0) / distances.length;
  return {
    svg: birdsEyeSvg({ sample, plan: pictured(plan), expert, road: roadAround(scene, { frame }), title: `${planner}: ${scene.id}, frame ${frame}` }),
    caption: `${planner}, ${scene.id}, frame ${frame}: ${COMMANDS[sample.command] ?? "unknown command"}, ${mean.toFixed(2)} m from the driven path on average`,
  };
}

/**
 * Every mode as positions; a mode's probability is that given the command, so the other commands' modes have none.
 */
function pictured({ sample, logits, deltas, chosen }: EvaluatedPlan): PicturedPlan {
  const stride = deltas.length / logits.length;
  const waypoints = new Float64Array(deltas.length);
  for (let mode = 0; mode < logits.length; mode++) waypoints.set(cumulate(deltas.subarray(mode * stride, (mode + 1) * stride)), mode * stride);
  const first = sample.command * MODES;
  const own = logits.subarray(first, first + MODES);
  const largest = Math.max(...own);
  const weights = Array.from(own, (logit) => Math.exp(logit - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  const probabilities = Float64Array.from(logits, (_, mode) => (weights[mode - first] ?? 0) / sum);
  return { waypoints, probabilities, chosen };
}

/**
 * Moments worth a picture, the same for every planner: for each command two of those in which the ego moves, one nearer
 * the start of the list and one nearer its end; where a command is rare, others fill up.
 * @param samples held-out samples in the order of evaluation
 * @param count pictures wanted
 * @returns indices into `samples`, ascending
 */
export function pickMoments(samples: readonly Sample[], count: number): number[] {
  const moving = samples.flatMap((sample, index) => (Math.hypot(...ends(sample)) > 5 ? [index] : []));
  const pool = moving.length >= count ? moving : samples.map((_, index) => index);
  const picked = new Set<number>();
  const perCommand = Math.ceil(count / COMMANDS.length);
  for (const command of [1, 0, 2]) {
    const own = pool.filter((index) => samples[index]?.command === command);
    for (const index of spread(own, Math.min(perCommand, count - picked.size))) picked.add(index);
  }
  for (const index of spread(pool.filter((index) => !picked.has(index)), count - picked.size)) picked.add(index);
  return [...picked].sort((a, b) => a - b);
}

/** Where the expert is after 3 s, m. */
function ends({ egoFuture }: Sample): [number, number] {
  const path = cumulate(egoFuture);
  return [path.at(-2) ?? 0, path.at(-1) ?? 0];
}

/** `count` entries at equal distances. */
function spread(list: readonly number[], count: number): number[] {
  const many = Math.min(count, list.length);
  return Array.from({ length: Math.max(0, many) }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / many)] ?? 0);
}

/** The six cameras at a moment, one PNG each. */
export async function drawCameras(renderer: CameraRenderer, scene: Scene, frame: number, caption: string): Promise<CameraStrip> {
  const { color } = await renderer.render(scene, frame, { depth: false });
  const { width, height } = renderer;
  const bytes = width * height * 3;
  const pngOf = (name: string): Uint8Array => {
    const view = renderer.cameras.findIndex((camera) => camera.name === name);
    // A camera by a name of its own is a strip of one picture.
    const alone: Camera[] = renderer.cameras.slice(view, view + 1).map((camera) => ({ ...camera, name: "picture" }));
    return cameraStrip({ color: color.subarray(view * bytes, (view + 1) * bytes), width, height }, alone);
  };
  const [upper, lower] = CAMERA_ROWS;
  return {
    images: {
      CAM_FRONT_LEFT: pngOf(upper[0]),
      CAM_FRONT: pngOf(upper[1]),
      CAM_FRONT_RIGHT: pngOf(upper[2]),
      CAM_BACK_LEFT: pngOf(lower[0]),
      CAM_BACK: pngOf(lower[1]),
      CAM_BACK_RIGHT: pngOf(lower[2]),
    },
    caption,
  };
}
