import { createTeacher, matchTeacher, PUBLISHED_TEACHER } from "@distilldrive/teacher";
import { type Graph, sizeOf, type StoredTensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { uniformSource, type WrittenArray, writeNpz } from "@distilldrive/testkit";
import { decodeNpz } from "@distilldrive/training";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type Backend, referenceBackend } from "./backend.js";
import { teacherConfigOf } from "./teacher.js";
import { teacherFrames } from "./teacher-frames.js";
import { traceTeacher } from "./teacher-graph.js";

/** Sizes of a made-up recorded teacher. */
export interface GoldenSizes {
  /** D */
  readonly channels: number;
  /** B */
  readonly lanes: number;
  /** Slots. */
  readonly agents: number;
  readonly lines: number;
  readonly frames: number;
  /** T; default as published */
  readonly memoryFrames?: number;
  readonly seed: number;
}

/** A set of the made-up teacher: what its file's name ends with, and what it holds. */
export interface GoldenSet {
  readonly suffix: string;
  readonly holds: "outputs" | "gradients" | "gradient statistics" | "training";
}

type Arrays = Map<string, WrittenArray>;

/**
 * Writes a folder in the golden layout whose values come from this project's own float64 reference. It cannot tell whether the
 * teacher is the published one; it tells whether parity copes with sizes, slots and missing files that the published vectors
 * do not have, and whether kernels are right at those sizes.
 * @param prefix of the files, such as `teacher32`
 * @param backend what computes the values; default the reference
 */
export async function writeGolden(folder: string, prefix: string, sizes: GoldenSizes, sets: readonly GoldenSet[], backend: Backend = referenceBackend()): Promise<void> {
  const random = uniformSource(sizes.seed);
  const weights = madeUpWeights(sizes, random);
  const inputs = writeNpz(madeUpInputs(sizes, random));
  const write = (name: string, bytes: Uint8Array | string): Promise<void> => writeFile(path.join(folder, `${prefix}_${name}`), bytes);
  await write("weights.npz", writeNpz(new Map([...weights].map(([name, { shape, data }]) => [name, { shape, values: data }]))));
  await write("inputs.npz", inputs);
  for (const set of sets) {
    const { arrays, gradientNames } = await record(sizes, weights, inputs, set, backend);
    await write(`${set.suffix}.npz`, writeNpz(arrays));
    if (gradientNames.length > 0) await write("gradstat.names.txt", `${gradientNames.join("\n")}\n`);
  }
}

/** Weights as the published vectors have them, under the published names. */
function madeUpWeights({ channels, agents, lines }: GoldenSizes, random: () => number): Map<string, StoredTensor> {
  const between = (low: number, high: number): number => low + (high - low) * random();
  const steps = (count: number, length: number): Float32Array => Float32Array.from({ length: count * length * 2 }, (_, i) => between(-0.3, 1) * (1 + (Math.floor(i / 2) % length)) * (i % 2 === 0 ? between(-1, 1) : 2));
  const anchors = { plan: steps(18, 6), motion: steps(60, 12) };
  const teacher = createTeacher({ ...PUBLISHED_TEACHER, channels, maxAgents: agents, maxLines: lines }, anchors);
  return new Map([...variablesOf(teacher)].map(([name, { shape, role, init }]): [string, StoredTensor] => {
    const size = sizeOf(shape);
    const fill = (low: number, high: number): Float32Array => Float32Array.from({ length: size }, () => between(low, high));
    // As the published vectors have them: Xavier's in attention and feed-forward blocks, PyTorch's own elsewhere.
    const [fanOut, fanIn] = [shape[0] ?? 1, Math.max(1, size / (shape[0] ?? 1))];
    const bound = /agent_feat_embed|^layers\.\d+\.(?:attn|layers|identity_fc)/.test(name) ? Math.sqrt(6 / (fanIn + fanOut)) : Math.sqrt(1 / fanIn);
    const data =
      init.kind === "data" ? Float32Array.from(init.data)
      : /running_var$/.test(name) ? fill(0.5, 2)
      : role === "buffer" ? fill(-0.2, 0.2)
      : shape.length > 1 ? fill(-bound, bound)
      : init.kind === "constant" && init.value === 1 ? fill(0.8, 1.2)
      : fill(-0.2, 0.2);
    return [name, { shape, dtype: "f32", data }];
  }));
}

/** Frames with agents that come and go, an empty scene, a frame without lines, a full map and a gap of three seconds. */
function madeUpInputs({ lanes, agents, lines, frames }: GoldenSizes, random: () => number): Arrays {
  const between = (low: number, high: number): number => low + (high - low) * random();
  const whole = (below: number): number => Math.floor(between(0, below));
  const many = (length: number, value: (i: number) => number): Float32Array => Float32Array.from({ length }, (_, i) => value(i));
  const arrays: Arrays = new Map();
  const times = Array.from({ length: lanes }, (_, lane) => 10 * lane);
  for (let frame = 0; frame < frames; frame++) {
    const put = (name: string, shape: readonly number[], values: ArrayLike<number>, dtype?: WrittenArray["dtype"]): void => void arrays.set(`frame${frame}.${name}`, { shape, values, ...(dtype ? { dtype } : {}) });
    for (let lane = 0; lane < lanes; lane++) {
      const count = frame === 1 && lane === lanes - 1 ? 0 : frame === 0 && lane === 0 ? agents : 1 + whole(agents);
      const lineCount = frame === 2 && lane === 0 ? 0 : frame === 2 ? lines : whole(lines);
      const own = (name: string, shape: readonly number[], values: ArrayLike<number>, dtype?: WrittenArray["dtype"]): void => {
        put(`sample${lane}.${name}`, shape, values, dtype);
      };
      own("gt_bboxes_3d", [count, 9], many(count * 9, (i) => [between(-50, 50), i === 1 ? -145 : between(-50, 50), between(-2, 1), between(1, 6), between(0.5, 2.5), between(1, 3), between(-3.1, 3.1), between(-8, 8), between(-8, 8)][i % 9] ?? 0));
      own("gt_labels_3d", [count], many(count, () => whole(10)), "<i4");
      own("gt_agent_fut_trajs", [count, 12, 2], many(count * 24, () => between(-3, 3)));
      // Some agents have no known future at all, some a part of it.
      own("gt_agent_fut_masks", [count, 12], many(count * 12, (i) => (Math.floor(i / 12) % 4 === 1 ? 0 : Math.floor(i / 12) % 4 === 2 && i % 12 > 4 ? 0 : 1)));
      own("instance_id", [count], [...Array(2 * agents).keys()].sort(() => between(-1, 1)).slice(0, count), "<i4");
      own("gt_map_pts", [lineCount, 1, 20, 2], many(lineCount * 40, () => between(-30, 30)));
      own("gt_map_labels", [lineCount], many(lineCount, () => whole(3)), "<i4");
    }
    put("gt_ego_fut_trajs", [lanes, 6, 2], many(lanes * 12, (i) => (i % 2 === 0 ? between(-1, 1) : between(0, 5))));
    put("gt_ego_fut_masks", [lanes, 6], many(lanes * 6, (i) => (frame === 1 && i % 6 > 3 ? 0 : 1)));
    const commands = Array.from({ length: lanes }, () => whole(3));
    put("gt_ego_fut_cmd", [lanes, 3], many(lanes * 3, (i) => (commands[Math.floor(i / 3)] === i % 3 ? 1 : 0)));
    put("ego_status", [lanes, 10], many(lanes * 10, (i) => (frame === 2 && i < 10 ? 0 : between(-1, 5))));
    times.forEach((time, lane) => (times[lane] = frame === 0 ? time : time + (frame === 1 && lane === 0 ? 3 : 0.5)));
    put("timestamp", [lanes], times);
    const turns = Array.from({ length: lanes }, () => ({ yaw: between(-0.2, 0.2), x: between(-1, 1), y: between(-5, 0) }));
    if (frame > 0) put("T_temp2cur", [lanes, 4, 4], turns.flatMap(({ yaw, x, y }) => [Math.cos(yaw), -Math.sin(yaw), 0, x, Math.sin(yaw), Math.cos(yaw), 0, y, 0, 0, 1, 0, 0, 0, 0, 1]));
  }
  return arrays;
}

/** Runs the teacher in float64 and writes down what a set holds, in the published layout. */
async function record({ lanes, agents, lines, frames, memoryFrames = PUBLISHED_TEACHER.memoryFrames }: GoldenSizes, weights: ReadonlyMap<string, StoredTensor>, inputs: Uint8Array, { suffix, holds }: GoldenSet, backend: Backend): Promise<{ arrays: Arrays; gradientNames: readonly string[] }> {
  const config = teacherConfigOf({ weights, stage2: suffix.includes("stage2"), mapVisible: suffix.includes("maskfix"), slots: { agents, lines: [lines], memoryFrames } });
  const anchors = { plan: weights.get("plan_anchor")?.data ?? [], motion: weights.get("motion_anchor")?.data ?? [] };
  const { graph, teacher, variables } = traceTeacher({ config, lanes, training: holds === "training", gradients: holds !== "outputs", anchors });
  const { values } = matchTeacher(teacher, weights);
  const session = await backend.open(graph, variables, new Map([...values].map(([name, { data }]) => [name, data])));
  const arrays: Arrays = new Map();
  const parameters = [...variables].filter(([, { role }]) => role === "parameter").map(([name]) => name);
  const batches = teacherFrames(decodeNpz(inputs, "inputs"), { lanes, agents, lines, frames: holds === "outputs" ? frames : 2 });
  for (const [frame, fields] of batches.entries()) {
    const results = await session.step(fields);
    for (const [name, array] of published(graph, results, Math.min(frame + 1, memoryFrames), memoryFrames)) {
      if (/^(?:gradient|loss|target)/.test(name) && holds !== "outputs") continue;
      if (!name.startsWith("gradient") && name !== "loss_total") arrays.set(`frame${frame}.${name}`, array);
    }
    if (holds === "outputs" || frame !== 1) continue;
    for (const [name, array] of published(graph, results, 1, memoryFrames)) if (/^(?:loss|target)/.test(name)) arrays.set(name, array);
    const gradients = parameters.map((name) => results.get(`gradient.${name}`) ?? []);
    if (holds !== "gradient statistics") gradients.forEach((data, i) => arrays.set(`gradall.${parameters[i] ?? ""}`, { shape: variables.get(parameters[i] ?? "")?.shape ?? [], values: data }));
    else {
      arrays.set("gradstat.l2", { shape: [parameters.length], values: gradients.map((data) => Math.sqrt([...Array.from(data)].reduce((sum, value) => sum + value * value, 0))) });
      arrays.set("gradstat.sum", { shape: [parameters.length], values: gradients.map((data) => Array.from(data).reduce((sum, value) => sum + value, 0)) });
    }
    if (holds === "training") for (const name of runningStatistics(variables)) arrays.set(`running_after_frame1.${name}`, { shape: variables.get(name)?.shape ?? [], values: await session.valueOf(name) });
  }
  return { arrays, gradientNames: holds === "gradient statistics" ? parameters : [] };
}

const runningStatistics = (variables: ReadonlyMap<string, Variable>): string[] => [...variables.keys()].filter((name) => /running_(?:mean|var)$/.test(name));

/** Outputs of the graph in the published layout: queues of as many entries as there have been frames, boxes of 9 numbers. */
function published(graph: Graph, results: ReadonlyMap<string, ArrayLike<number>>, length: number, memory: number): Arrays {
  const arrays: Arrays = new Map();
  for (const [name, { shape }] of graph.outputs) {
    const values = results.get(name) ?? [];
    const integer = /(?:mask|period|motion\.cls_target|cls_weight)$/.test(name) ? ({ dtype: "<i4" } as const) : {};
    if (/^queue\..*padding$/.test(name)) continue;
    if (name.startsWith("queue.")) {
      // Ours [B, slots or 1, T, 10] with the oldest first.
      const [lanes = 0, own = 0] = shape;
      const slots = name.includes("ego") ? 18 : own;
      for (let entry = 0; entry < length; entry++) {
        const boxes = Array.from({ length: lanes * slots }, (_, row) => {
          const at = ((Math.floor(row / slots) * own + (own === 1 ? 0 : row % slots)) * memory + memory - length + entry) * 10;
          const [a, b, c, d, e, f, cos = 0, sin = 0, vx, vy] = Array.from({ length: 10 }, (__, i) => values[at + i] ?? NaN);
          return [a, b, c, d, e, f, Math.atan2(sin, cos), vx, vy].map((value) => value ?? NaN);
        });
        arrays.set(`${name}.${entry}`, { shape: [lanes, slots, 9], values: boxes.flat() });
      }
    } else if (name.startsWith("inter.temp.")) {
      const [rows = 0, , width = 1] = [values.length / (memory * (shape.at(-1) === memory ? 1 : (shape.at(-1) ?? 1))), 0, shape.at(-1) === memory ? 1 : (shape.at(-1) ?? 1)];
      const kept = Array.from({ length: rows * length * width }, (_, i) => values[Math.floor(i / (length * width)) * memory * width + (memory - length) * width + (i % (length * width))] ?? NaN);
      arrays.set(name, { shape: name.endsWith("mask") ? [rows, length] : [rows, length, width], values: kept, ...integer });
    } else arrays.set(name, { shape, values, ...integer });
  }
  return arrays;
}
