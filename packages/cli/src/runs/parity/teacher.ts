import { anchorsOfState, matchTeacher, PUBLISHED_STAGE_2, PUBLISHED_TEACHER, type TeacherConfig, teacherSizesOf } from "@distilldrive/teacher";
import type { StoredTensor } from "@distilldrive/tensor";
import { type NumpyArchive, requireMatch } from "@distilldrive/training";
import type { Backend } from "./backend.js";
import { largestOf, type Pair, type TensorKind } from "./compare.js";
import { teacherFrames, type TeacherSizes } from "./teacher-frames.js";
import { traceTeacher } from "./teacher-graph.js";

/** Files of one recorded teacher run. */
export interface TeacherSet {
  /** The state dict, under its published names. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly inputs: NumpyArchive;
  /** What was recorded. */
  readonly expected: NumpyArchive;
  /** "outputs": predictions of all frames; "losses_grads": gradients of one; "trainbn": both while batch norm trains. */
  readonly kind: "outputs" | "losses_grads" | "trainbn";
  /** The configuration the published stage 2 runs its teacher in (fact T2). */
  readonly stage2: boolean;
  /** Whether the map mask is read as intended; otherwise as coded (fact T1). */
  readonly mapVisible: boolean;
  /** Names of the parameters behind `gradstat.*`, or null. */
  readonly gradientNames: readonly string[] | null;
  /** Slots where the expected file does not tell; from another file of the same teacher. */
  readonly slots: Pick<TeacherSizes, "agents" | "lines">;
}

/** Frame the gradients were recorded at. */
const GRADIENT_FRAME = 1;

/** The configuration of a recorded teacher: sizes from its weights, behaviour from the set. */
export function teacherConfigOf({ weights, stage2, mapVisible, slots }: Pick<TeacherSet, "weights" | "stage2" | "mapVisible" | "slots">): TeacherConfig {
  return {
    ...PUBLISHED_TEACHER,
    ...teacherSizesOf(weights),
    maxAgents: slots.agents,
    maxLines: slots.lines,
    mapSlots: mapVisible ? "lines" : "padding",
    ...(stage2 ? PUBLISHED_STAGE_2 : {}),
  };
}

/** Runs a recorded teacher and pairs what it gives with what was recorded. */
export async function runTeacher(set: TeacherSet, backend: Backend): Promise<{ readonly pairs: readonly Pair[]; readonly left: readonly string[] }> {
  const { weights, inputs, expected, kind } = set;
  const config = teacherConfigOf(set);
  const recorded = (archive: NumpyArchive): number => 1 + Math.max(-1, ...archive.names.map((name) => Number(/^frame(\d+)\./.exec(name)?.[1] ?? -1)));
  const frames = kind === "losses_grads" ? Math.min(recorded(inputs), GRADIENT_FRAME + 1) : Math.min(recorded(inputs), recorded(expected));
  const lanes = inputs.get("frame0.timestamp").shape[0] ?? 0;
  const anchors = anchorsOfState(weights, "parity");
  const { graph, variables, teacher } = traceTeacher({ config, lanes, training: kind === "trainbn", gradients: kind !== "outputs", anchors });
  const match = matchTeacher(teacher, weights);
  requireMatch({ ...match, unexpected: [] }, "parity", "the teacher", "The set is of another model.");
  const values = new Map([...match.values].map(([name, { data }]) => [name, data] as const));
  const session = await backend.open(graph, variables, values);
  try {
    const pairs: Pair[] = [];
    const used = new Set<string>();
    const compare = (name: string, found: Found | null): void => {
      if (!found) return;
      used.add(name);
      pairs.push({ name, ...found });
    };
    for (const [frame, fields] of teacherFrames(inputs, { lanes, agents: config.maxAgents, lines: config.maxLines, frames }).entries()) {
      const results = await session.step(fields);
      const own = `frame${frame}.`;
      for (const name of expected.names) {
        if (name.startsWith(own)) compare(name, frameValue(name.slice(own.length), expected.get(name), results, config, frame));
        else if (frame === frames - 1 && kind !== "outputs") compare(name, stepValue(name, expected, results, config, set.gradientNames));
      }
    }
    for (const name of expected.names) {
      const of = /^running_after_frame\d+\.(.*running_(?:mean|var))$/.exec(name)?.[1];
      if (of !== undefined) compare(name, { kind: "activation", actual: await session.valueOf(of), expected: expected.get(name).values });
    }
    return { pairs, left: [...expected.names.filter((name) => !used.has(name)), ...match.unexpected.map((name) => `weight ${name}`)] };
  } finally {
    session.close();
  }
}

type Found = Omit<Pair, "name">;
type Results = ReadonlyMap<string, ArrayLike<number>>;
interface Expected {
  readonly shape: readonly number[];
  readonly integer: boolean;
  readonly values: Float64Array;
}

/** Losses and gradients. */
function stepValue(name: string, archive: NumpyArchive, results: Results, config: TeacherConfig, gradientNames: readonly string[] | null): Found | null {
  const expected = archive.get(name);
  const gradient = /^grad(?:all)?\.(.*)$/.exec(name)?.[1];
  if (gradient !== undefined) {
    const actual = results.get(`gradient.${gradient}`);
    return actual ? { kind: "gradient", actual, expected: expected.values } : null;
  }
  const statistic = /^gradstat\.(l2|sum)$/.exec(name)?.[1];
  if (statistic !== undefined) {
    if (gradientNames?.length !== expected.values.length) return null;
    const gradients = gradientNames.map((parameter) => results.get(`gradient.${parameter}`) ?? [NaN]);
    const actual = gradients.map((values) => {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < values.length; i++) {
        sum += values[i] ?? 0;
        squares += (values[i] ?? 0) ** 2;
      }
      return statistic === "sum" ? sum : Math.sqrt(squares);
    });
    return { kind: "gradient", actual, expected: expected.values };
  }
  return frameValue(name, expected, results, config, GRADIENT_FRAME);
}

/** One array of a frame. */
function frameValue(name: string, expected: Expected, results: Results, config: TeacherConfig, frame: number): Found | null {
  const queue = /^queue\.(motion|ego)_anchor_queue\.(\d+)$/.exec(name);
  if (queue) return queueValue(queue[1] === "ego" ? "ego" : "motion", Number(queue[2]), expected, results, config, frame);
  if (name.startsWith("inter.temp.")) return memoryValue(name, expected, results, config);
  const actual = results.get(name);
  if (!actual) return null;
  const kind: TensorKind = name.startsWith("loss") ? "loss" : expected.integer ? "exact" : "activation";
  return { kind, actual, expected: expected.values, ...countsOf(name, expected, results) };
}

/** Where a sampler's output means something: at agents, steps and samples that are known. */
function countsOf(name: string, expected: Expected, results: Results): { counts?: ArrayLike<number> } {
  const [, of, field] = /^target\.(motion|planning)\.(cls_target|best_reg|reg_target)$/.exec(name) ?? [];
  if (of === undefined) return {};
  const weight = results.get(`target.${of}.${field === "reg_target" ? "reg_weight" : "cls_weight"}`) ?? [];
  const repeat = expected.values.length / weight.length;
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

/** Queue entry `index` of the anchors [B, slots, 9]; headings as unit vectors, and only where the entry is attended to. */
function queueValue(of: "motion" | "ego", index: number, expected: Expected, results: Results, config: TeacherConfig, frame: number): Found | null {
  const anchors = results.get(`queue.${of}_anchor_queue`);
  const padding = results.get(`queue.${of}_padding`);
  const [lanes = 0, slots = 0] = expected.shape;
  if (!anchors || !padding || largestOf(expected.shape) === 0) return null;
  const own = anchors.length / (lanes * config.memoryFrames * 10);
  const length = Math.min(frame + 1, config.memoryFrames);
  const step = config.memoryFrames - length + index;
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
