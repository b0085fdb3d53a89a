import type { TeacherConfig } from "@distilldrive/teacher";
import type { NumpyArchive } from "@distilldrive/training";
import { largestOf, type Pair, PARITY_TOLERANCE, ROUNDING_FLOOR, type TensorKind, VANISHING } from "./compare.js";

/** Values of the model to compare. */
export type Found = Omit<Pair, "name">;
/** Outputs of the teacher's graph by name. */
export type Results = ReadonlyMap<string, ArrayLike<number>>;
interface Expected {
  readonly shape: readonly number[];
  readonly integer: boolean;
  readonly values: Float64Array;
}

/**
 * What a recorded array of a teacher must at least be comparable as, so that it cannot go missing unseen; null for values on the way
 * and for what only describes the file.
 */
export function kindOf(name: string): TensorKind | null {
  if (/^grad(?:all|stat)?\./.test(name)) return "gradient";
  if (/^(?:frame\d+\.)?loss(?:\.|_total$)/.test(name)) return "loss";
  return /^frame\d+\.(?:motion|planning)\./.test(name) || /^running_after_frame\d+\..*running_(?:mean|var)$/.test(name) ? "activation" : null;
}

/** Losses, targets and gradients of the step. */
export function stepValue(name: string, archive: NumpyArchive, results: Results, config: TeacherConfig, gradientNames: readonly string[]): Found | null {
  const gradient = /^grad(?:all)?\.(.*)$/.exec(name)?.[1];
  if (gradient !== undefined) {
    const actual = results.get(`gradient.${gradient}`);
    return actual ? { kind: "gradient", actual, expected: archive.get(name).values } : null;
  }
  const statistic = /^gradstat\.(l2|sum)$/.exec(name)?.[1];
  if (statistic !== undefined) return statisticOf(statistic === "l2" ? "l2" : "sum", archive, results, gradientNames);
  return frameValue(name, archive, name, results, config);
}

/**
 * Length and sum of every parameter's gradient. A length is compared with itself; a sum, whose terms cancel, with the length times the
 * root of the number of elements, which it cannot exceed. Small and vanishing gradients are treated as where all elements are
 * recorded.
 */
function statisticOf(statistic: "l2" | "sum", archive: NumpyArchive, results: Results, names: readonly string[]): Found {
  const expected = archive.get(`gradstat.${statistic}`).values;
  if (names.length !== expected.length) return { kind: "gradient", actual: new Float64Array(names.length), expected };
  const gradients = names.map((name) => results.get(`gradient.${name}`) ?? [NaN]);
  const lengths = archive.has("gradstat.l2") ? archive.get("gradstat.l2").values : Float64Array.from(gradients, (values) => summed(values).l2);
  const longest = largestOf(lengths);
  const scales = Float64Array.from(lengths, (length, i) => {
    const own = length < VANISHING * longest ? (longest * VANISHING) / PARITY_TOLERANCE.gradient : Math.max(length, ROUNDING_FLOOR * longest);
    return own * (statistic === "sum" ? Math.sqrt(gradients[i]?.length ?? 1) : 1) || 1;
  });
  return { kind: "gradient", actual: gradients.map((values) => summed(values)[statistic]), expected, scales, labels: names };
}

function summed(values: ArrayLike<number>): { readonly l2: number; readonly sum: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i] ?? 0;
    squares += (values[i] ?? 0) ** 2;
  }
  return { l2: Math.sqrt(squares), sum };
}

/**
 * One array of a frame.
 * @param own its name without the frame
 * @param name its name in the archive
 */
export function frameValue(own: string, archive: NumpyArchive, name: string, results: Results, config: TeacherConfig): Found | null {
  const expected = archive.get(name);
  const queue = /^queue\.(motion|ego)_anchor_queue\.(\d+)$/.exec(own);
  if (queue) {
    const entries = archive.names.filter((other) => other.replace(/\d+$/, "") === name.replace(/\d+$/, "")).length;
    return queueValue(queue[1] === "ego" ? "ego" : "motion", config.memoryFrames - entries + Number(queue[2]), expected, results, config);
  }
  if (own.startsWith("inter.temp.")) return memoryValue(own, expected, results, config);
  const actual = results.get(own);
  if (!actual) return null;
  const kind: TensorKind = own.startsWith("loss") ? "loss" : expected.integer ? "exact" : "activation";
  return { kind, actual, expected: expected.values, ...countsOf(own, expected, results) };
}

/** Where a sampler's output means something: at agents, steps and samples that are known. */
function countsOf(name: string, expected: Expected, results: Results): { counts?: ArrayLike<number> } {
  const [, of, field] = /^target\.(motion|planning)\.(cls_target|best_reg|reg_target)$/.exec(name) ?? [];
  if (of === undefined) return {};
  const weight = results.get(`target.${of}.${field === "reg_target" ? "reg_weight" : "cls_weight"}`) ?? [];
  const repeat = weight.length === 0 ? 1 : expected.values.length / weight.length;
  return { counts: Float64Array.from(expected.values, (_, i) => weight[Math.floor(i / repeat)] ?? 0) };
}

/** The last of `all` time steps: rows [R, all, width] to [R, last, width]. */
function newest(values: ArrayLike<number>, all: number, last: number, width: number): Float64Array {
  const rows = values.length / (all * width);
  return Float64Array.from({ length: rows * last * width }, (_, i) => {
    const row = Math.floor(i / (last * width));
    return values[row * all * width + (all - last) * width + (i % (last * width))] ?? NaN;
  });
}

/** Keys of the temporal attention; the published queue grows, ours has a padded start. Keys that are ignored are not compared. */
function memoryValue(name: string, expected: Expected, results: Results, config: TeacherConfig): Found | null {
  const actual = results.get(name);
  const [, last = 0, width = 1] = expected.shape;
  if (!actual) return null;
  const values = newest(actual, config.memoryFrames, last, width);
  if (expected.integer) return { kind: "exact", actual: values, expected: expected.values };
  const ignored = newest(results.get("inter.temp.key_padding_mask") ?? [], config.memoryFrames, last, 1);
  return { kind: "activation", actual: values, expected: expected.values, counts: Float64Array.from(expected.values, (_, i) => 1 - (ignored[Math.floor(i / width)] ?? 0)) };
}

/** The anchors [B, slots, 9] of time step `step` of the queue; headings as unit vectors, and only where the entry is attended to. */
function queueValue(of: "motion" | "ego", step: number, expected: Expected, results: Results, config: TeacherConfig): Found | null {
  const anchors = results.get(`queue.${of}_anchor_queue`);
  const padding = results.get(`queue.${of}_padding`);
  const [lanes = 0, slots = 0] = expected.shape;
  if (!anchors || !padding || step < 0) return null;
  const own = anchors.length / (lanes * config.memoryFrames * 10);
  const [actual, wanted, counts] = [new Float64Array(lanes * slots * 10), new Float64Array(lanes * slots * 10), new Float64Array(lanes * slots * 10)];
  for (let row = 0; row < lanes * slots; row++) {
    const slot = Math.floor(row / slots) * own + (own === 1 ? 0 : row % slots);
    const entry = slot * config.memoryFrames + step;
    const box = expected.values.subarray(row * 9, row * 9 + 9);
    const [x = 0, y = 0, z = 0, length3 = 0, width = 0, height = 0, yaw = 0, vx = 0, vy = 0] = box;
    wanted.set([x, y, z, length3, width, height, Math.cos(yaw), Math.sin(yaw), vx, vy], row * 10);
    for (let i = 0; i < 10; i++) actual[row * 10 + i] = anchors[entry * 10 + i] ?? NaN;
    counts.fill(1 - (padding[entry] ?? 0), row * 10, row * 10 + 10);
  }
  return { kind: "activation", actual, expected: wanted, counts };
}
