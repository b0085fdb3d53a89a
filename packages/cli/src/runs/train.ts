import { type Ceilings, measureCeilings } from "@distilldrive/kernels";
import { type Anchors, buildAnchors, createStreams, evaluationStream, type FeatureOptions, generateTown, resolveSceneNames, type Scene, type SceneSplit, type Stream, streamBatches } from "@distilldrive/datasets";
import { distillTask, type TeacherOfRecord } from "@distilldrive/distill";
import { cameraImages, STUDENT_FEATURES, studentTask } from "@distilldrive/student";
import { teacherFeatures, teacherTask } from "@distilldrive/teacher";
import { decodeSafetensors, type Device, encodeSafetensors, openDevice, planProgram } from "@distilldrive/tensor";
import { CheckpointError, fit, type FitResult, latestCheckpoint, modelValues, stepsOf, type Task, traceTraining } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { dawnVersion } from "../adapter.js";
import { RunError, UsageError } from "../errors.js";
import type { Io } from "../io.js";
import { packageVersion } from "../system.js";
import { readAnchors } from "./anchor-files.js";
import { sameData, splitData } from "./data.js";
import { reasonOf, requireWritable, writeWhole } from "./files.js";
import { runCheckpoint } from "./planner.js";
import { ioProgress } from "./progress.js";
import { initialReference } from "./reference.js";
import { findRun, learnedScenes, readRun, type Run, type StartOfRun, type TeacherOfRun, writeRun } from "./run-file.js";
import { type ResolvedSettings, resolveSettings, type SettingFlags, type TaskName } from "./settings.js";
import { type FoundStart, findStart, keepStart, keptStart, requireUsable } from "./start.js";
import { readStatistics, type RunStatistics, writeStatistics } from "./statistics.js";
import { runDevice, writeRunTuning } from "./tuning.js";

/** What a training run is asked to be. */
export interface TrainRequest {
  readonly task: TaskName;
  /** Run directory. */
  readonly out: string;
  /** Where scenes are; default that of the run to go on with, or of the teacher. */
  readonly data?: string;
  /** Names of scenes to hold out; default likewise. */
  readonly val?: readonly string[];
  /** The teacher's run directory; needed to distil. */
  readonly teacher?: string;
  /** Another run's directory, whose weights and anchors the run begins with; default random weights. */
  readonly start?: string;
  /** Vocabularies to use instead of clusters of the training scenes, see `readAnchors`. */
  readonly anchors?: string;
  /** Content of a configuration file and its name. */
  readonly config?: { readonly content: unknown; readonly where: string };
  readonly flags: SettingFlags;
  readonly resume: boolean;
  readonly profile: boolean;
  /** What was typed, for the record. */
  readonly command: string;
}

/** A training run after this session. */
export interface TrainOutcome {
  readonly run: Run;
  readonly result: FitResult;
  readonly statistics: RunStatistics;
  /** What the adapter can do at most; measured where a profile was asked for. */
  readonly ceilings: Ceilings | null;
}

/** The frozen teacher's values in a distillation's run directory, so that the run needs nothing outside. */
const TEACHER_FILE = "teacher.safetensors";

/**
 * Trains a model, or goes on training it. Everything is checked before anything is written.
 * @throws UsageError, ConfigError, DatasetError, CheckpointError, RunError, DeviceError: what is wrong, in one paragraph
 */
export async function train(io: Io, request: TrainRequest): Promise<TrainOutcome> {
  const { task, out, flags } = request;
  const where = `train ${task}`;
  await requireWritable(out, where);
  const begun = await runToResume(request, where);
  const resolved = resolveSettings(task, request.config?.content ?? begun?.settings ?? {}, flags, request.config?.where);
  const teacher = await teacherFor(request, resolved, begun, where);
  const dataPath = path.resolve(request.data ?? begun?.data.path ?? teacher?.data.path ?? missing(where, "--data <folder>", "where the scenes are"));
  const split = begun === null ? await splitData(dataPath, request.val ?? teacher?.data.val ?? []) : await sameData(begun, dataPath);
  if (teacher !== null) requireUnseen(teacher, split, where);
  const start = await startFor(request, begun, where);
  if (request.anchors !== undefined && (start ?? teacher) !== null) throw new UsageError(`distilldrive ${where}: --anchors does not go with ${start === null ? "--teacher" : "--start"}, whose anchors are used. Leave one of them out.`);
  const given = request.anchors === undefined ? null : await readAnchors(request.anchors);
  io.interrupted.throwIfAborted();

  const town = townScenes(resolved);
  const { mirror, seed: clusterSeed } = resolved.settings;
  const anchors = begun?.anchors ?? teacher?.record.anchors ?? start?.anchors ?? { ...buildAnchors([...split.train, ...town], { mirror, seed: clusterSeed }), ...given };
  const { device, table } = await runDevice(io, await openDevice(), out, begun !== null);
  let built = buildTask(resolved, split, town, anchors, teacher?.record ?? null, device);
  let current = device;
  try {
    const run = makeRun(request, resolved, split, dataPath, anchors, teacher?.origin ?? null, start?.origin ?? begun?.start, stepsOf(resolved.settings, built.framesPerEpoch));
    if (begun !== null) requireSame(begun, run, where);
    else if (start !== null) requireUsable(start, built.task, split, run.settings.preset, where);
    describeRun(io, device, built, run, split);
    if (begun === null) {
      if (teacher !== null) await writeWhole(path.join(out, TEACHER_FILE), encodeSafetensors(teacher.record.values));
      if (table !== null) await writeRunTuning(out, table);
      if (start !== null) await keepStart(out, start);
      await writeRun(out, run);
    }
    const reference = (await latestCheckpoint(out)) === null && start === null ? await initialReference(io, device, out, resolved, built.streams, teacher?.record ?? null) : null;
    if (reference?.interrupted) {
      const result = { ...reference.interrupted, step: 0 };
      return { run, result, statistics: await writeStatistics(out, await readStatistics(out), result), ceilings: null };
    }
    const initial = start?.values ?? reference?.values;
    const { seed, optimizer, precision, checkpointEvery, keep, logEvery } = run.settings;
    const result = await fit({
      device, task: built.task, out, steps: run.steps, seed, optimizer, precision, checkpointEvery, keep, logEvery,
      // What the task holds on a lost device is made anew on the next.
      reopen: async () => {
        built.release();
        current = (await runDevice(io, await openDevice(), out, true)).device;
        built = buildTask(resolved, split, town, anchors, teacher?.record ?? null, current);
        return { device: current, task: built.task };
      },
      resume: begun !== null,
      run: { preset: run.settings.preset, model: run.model },
      progress: ioProgress(io),
      signal: io.interrupted,
      profile: request.profile,
      ...(initial ? { initial } : {}),
    });
    const ceilings = request.profile ? await measureCeilings(current.gpu) : null;
    return { run, result, statistics: await writeStatistics(out, await readStatistics(out), result), ceilings };
  } finally {
    built.release();
    current.close();
  }
}

/** The run in the directory to go on with; without --resume, one that has no checkpoint yet is begun anew. */
async function runToResume({ task, out, resume, val }: TrainRequest, where: string): Promise<Run | null> {
  const checkpoint = await latestCheckpoint(out);
  if (checkpoint === null && !resume) return null;
  if (checkpoint !== null && !resume) throw new CheckpointError(`${where}: ${out} already holds a run, expected an empty directory, got ${path.basename(checkpoint)}. Add --resume to continue it, or choose another --out.`);
  const run = checkpoint === null ? await findRun(out) : await readRun(out, where);
  if (run === null) return null;
  if (run.imported) throw new RunError(`${where}: ${out} holds weights that were imported, which have no state of an optimiser to go on with. Choose another --out and begin there with --start ${out}, or distil a student from them with --teacher ${out}.`);
  if (run.task !== task) throw new RunError(`${where}: ${out} holds a run of "train ${run.task}". Go on with that command, or choose another --out.`);
  if (val !== undefined) {
    const held = resolveSceneNames(val, [...run.data.train, ...run.data.val], where);
    if (held.length !== run.data.val.length || held.some((name) => !run.data.val.includes(name))) {
      throw new RunError(`${where}: the run was begun with other held-out scenes, expected ${run.data.val.join(", ") || "none"}, got ${held.join(", ")}. Leave --val out to continue it as it was, or choose another --out.`);
    }
  }
  if (checkpoint !== null) await runCheckpoint(out, run);
  return run;
}

/** What the run begins with: weights of another run, or those kept by a run that has no checkpoint yet. */
async function startFor({ task, out, start }: TrainRequest, begun: Run | null, where: string): Promise<FoundStart | null> {
  if (begun === null) return start === undefined ? null : findStart(start, task, where);
  if (start !== undefined && path.resolve(start) !== begun.start?.run) throw new RunError(`${where}: ${out} was begun with ${begun.start?.run ?? "random weights"}, got --start ${start}. Leave --start out to continue, or choose another --out.`);
  return (await latestCheckpoint(out)) === null ? keptStart(out, begun, where) : null;
}

interface FoundTeacher {
  readonly record: TeacherOfRecord;
  readonly origin: TeacherOfRun;
  readonly data: Run["data"];
  /** Names of all scenes it has learned from. */
  readonly learned: readonly string[];
}

/** The teacher to distil from: of the run that goes on, or the newest state of the given run. */
async function teacherFor({ task, out, teacher }: TrainRequest, resolved: ResolvedSettings, begun: Run | null, where: string): Promise<FoundTeacher | null> {
  if (task !== "distill" || resolved.task !== "distill") return null;
  if (begun?.teacher) {
    if (teacher !== undefined && path.resolve(teacher) !== begun.teacher.run) throw new RunError(`${where}: ${out} is distilled from ${begun.teacher.run}, got --teacher ${teacher}. Leave --teacher out to continue, or choose another --out.`);
    const file = path.join(out, TEACHER_FILE);
    const bytes = await readFile(file).catch((cause: unknown) => {
      throw new CheckpointError(`${where}: ${file} cannot be read (${reasonOf(cause)}), expected the frozen teacher of the run. Restore it, or choose another --out.`);
    });
    return { record: { config: begun.teacher.model, anchors: begun.anchors, values: decodeSafetensors(bytes, file).tensors }, origin: begun.teacher, data: begun.data, learned: [] };
  }
  const folder = teacher ?? missing(where, "--teacher <run>", "the run directory of a trained teacher");
  const run = await readRun(folder, where);
  if (run.task !== "teacher") throw new RunError(`${where}: ${folder} is no teacher, expected a run of "train teacher", got one of "train ${run.task}". Give the run directory of a teacher.`);
  const { info, tensors } = await runCheckpoint(folder, run);
  const wide = resolved.model.teacherChannels;
  if (wide !== run.model.channels) {
    throw new RunError(`${where}: the student does not fit its teacher, expected a teacher of ${wide} channels for the student's preset "${resolved.settings.preset}", got ${run.model.channels} in ${folder} (preset "${run.settings.preset}"). Use --preset ${run.settings.preset === "published" ? "full" : run.settings.preset}, or set "model": { "teacherChannels": ${run.model.channels} } in the configuration.`);
  }
  const origin = { run: path.resolve(folder), step: info.step, model: run.model };
  return { record: { config: run.model, anchors: run.anchors, values: modelValues(tensors) }, origin, data: run.data, learned: learnedScenes(run) };
}

/** A student must be judged on scenes that neither it nor its teacher has seen. */
function requireUnseen(teacher: FoundTeacher, { val }: SceneSplit, where: string): void {
  const seen = val.map(({ id }) => id).filter((id) => teacher.learned.includes(id));
  if (seen.length === 0) return;
  throw new RunError(`${where}: the teacher has been trained on scenes that are to be held out: ${seen.join(", ")}. Hold out scenes the teacher has not seen (${teacher.data.val.join(", ") || "it has seen all of its data"}), or train the teacher without them.`);
}

interface BuiltTask {
  readonly task: Task;
  readonly framesPerEpoch: number;
  readonly streams: readonly Stream[];
  readonly release: () => void;
}

/** Scenes of the synthetic town a run trains on along with its data. */
function townScenes({ settings: { town } }: ResolvedSettings): Scene[] {
  return [...generateTown({ seed: town.seed, scenes: town.scenes })];
}

/** The task of resolved settings on scenes; `release` lets go of what it holds on the device. */
export function buildTask(resolved: ResolvedSettings, { train: scenes }: SceneSplit, town: readonly Scene[], anchors: Anchors, teacher: TeacherOfRecord | null, device: Device): BuiltTask {
  const { seed, batch: lanes, mirror, parts, dropout, town: { phases } } = resolved.settings;
  const streams = [...createStreams(scenes, { mirror, parts }), ...(town.length > 0 ? createStreams(town, { mirror, parts, phases }) : [])];
  const batchesWith = (features: FeatureOptions): ReturnType<typeof streamBatches> => streamBatches(streams, { batch: lanes, seed, features });
  if (resolved.task === "teacher") {
    const { model: config, settings: { loss, augmentation, buckets } } = resolved;
    const batches = batchesWith(teacherFeatures(config));
    return { task: teacherTask({ config, anchors, batches, lanes, loss, dropout, augmentation, buckets }), framesPerEpoch: batches.framesPerEpoch, streams, release: () => undefined };
  }
  const { model: config, settings: { loss } } = resolved;
  const images = cameraImages(device.gpu, config, [...scenes, ...town]);
  const batches = batchesWith(teacher === null ? STUDENT_FEATURES : teacherFeatures(teacher.config));
  const shared = { config, anchors, batches, lanes, loss, dropout, images };
  const task = resolved.task === "distill" && teacher !== null ? distillTask({ ...shared, teacher, weights: resolved.settings.distillation }) : studentTask(shared);
  return { task, framesPerEpoch: batches.framesPerEpoch, streams, release: () => images.destroy() };
}

function makeRun(request: TrainRequest, resolved: ResolvedSettings, split: SceneSplit, data: string, anchors: Anchors, teacher: TeacherOfRun | null, start: StartOfRun | undefined, steps: number): Run {
  const names = (scenes: SceneSplit["train"]): string[] => scenes.map(({ id }) => id);
  return {
    ...resolved,
    steps,
    data: { path: data, train: names(split.train), val: names(split.val) },
    anchors,
    teacher,
    ...(start === undefined ? {} : { start }),
    versions: { distilldrive: packageVersion(), node: process.versions.node, webgpu: dawnVersion() ?? "none" },
    command: request.command,
  };
}

/** A run goes on as it was begun. @throws RunError naming the settings that differ */
function requireSame(begun: Run, now: Run, where: string): void {
  const differing = differences(begun.settings, now.settings);
  if (differing.length === 0 && begun.steps === now.steps) return;
  const what = differing.length > 0 ? differing.join("; ") : `steps: expected ${begun.steps}, got ${now.steps}`;
  throw new RunError(`${where}: the run was begun with other settings: ${what}. Leave them out to continue it as it was, or choose another --out.`);
}

/** Settings in which two runs differ, each with both values. */
export function differences(a: object, b: object, at = ""): string[] {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => {
    const [x, y] = [left[key], right[key]];
    if (JSON.stringify(x) === JSON.stringify(y)) return [];
    if (x !== null && y !== null && typeof x === "object" && typeof y === "object") return differences(x, y, `${at}${key}.`);
    return [`${at}${key}: expected ${JSON.stringify(x) ?? "nothing"}, got ${JSON.stringify(y) ?? "nothing"}`];
  });
}

/** Two lines about what is going to run, on what. */
function describeRun(io: Io, device: Device, { task, framesPerEpoch }: BuiltTask, run: Run, split: SceneSplit): void {
  const { graph } = traceTraining(task, run.settings.optimizer, run.settings.logEvery, run.settings.precision);
  const [plan = ""] = planProgram(graph, device.target, { precision: run.settings.precision.storage }).toString().split("\n");
  const samples = `${framesPerEpoch} samples${run.settings.mirror ? " (mirrored)" : ""}`;
  const heldOut = split.val.length === 0 ? "held out: nothing" : `held out: ${count(split.val.length, "scene")}, ${count(evaluationStream(split.val).frames, "keyframe")}`;
  io.err(`device   ${device.description}     plan  ${plan}\n`);
  const town = run.settings.town.scenes === 0 ? "" : ` and ${run.settings.town.scenes} of the synthetic town`;
  io.err(`data     ${count(split.train.length, "scene")}${town}, ${samples}   ${heldOut}\n`);
}

/** "1 scene", "2 scenes". */
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

function missing(where: string, flag: string, what: string): never {
  throw new UsageError(`distilldrive ${where}: ${flag} is missing, expected ${what}. See: distilldrive ${where} --help`);
}

