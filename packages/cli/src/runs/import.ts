import { loadScenes, resolveSceneNames } from "@distilldrive/datasets";
import { anchorsOfState, createTeacher, matchTeacher, PUBLISHED_TEACHER, TEACHER_COMPAT, type TeacherConfig, teacherSizesOf } from "@distilldrive/teacher";
import { initialValues, sizeOf, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { CheckpointError, decodeStateDict, patternOf, requireMatch, saveCheckpoint, type StateDict, type StateMatch, withoutPrefix } from "@distilldrive/training";
import { mkdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { dawnVersion } from "../adapter.js";
import { RunError } from "../errors.js";
import { packageVersion } from "../system.js";
import { CARRIED, type ExportInfo, exportInfo } from "./export.js";
import { listFolder, reasonOf, requireWritable } from "./files.js";
import { layered } from "./presets.js";
import { type Run, writeRun } from "./run-file.js";
import { resolveSettings } from "./settings.js";

/** What is imported, and as what. */
export interface ImportRequest {
  /** State dict: `.pth`, `.pt`, `.safetensors`, `.npz`. */
  readonly file: string;
  /** Run directory to make. */
  readonly out: string;
  /** Sizes; default those of the file. */
  readonly preset?: string;
  /** Behaviour; default that of the preset, or of the run the file was exported from. */
  readonly compat?: "intended" | "published";
  /** Content of a configuration file and its name. */
  readonly config?: { readonly content: unknown; readonly where: string };
  /** In front of the model's names; default: found. */
  readonly prefix?: string;
  /** Patterns of names that may be missing and then begin anew. */
  readonly allowMissing: readonly string[];
  /** Patterns of names that may be left out. */
  readonly allowUnexpected: readonly string[];
  /** Scenes `evaluate` plans in when it is not told otherwise. */
  readonly data?: string;
  /** Their names; default all of them. */
  readonly val?: readonly string[];
  /** What was typed, for the record. */
  readonly command: string;
}

/** What was read and written. */
export interface ImportOutcome {
  readonly run: Run;
  readonly state: Pick<StateDict, "format" | "under"> & { readonly tensors: number };
  readonly prefix: string;
  /** Values for variables of the model. */
  readonly filled: number;
  /** Kept for an export, though the model does not use them. */
  readonly carried: readonly string[];
  /** Allowed to be missing; they begin anew. */
  readonly missing: readonly string[];
  /** Allowed to be left out, and names not behind the prefix. */
  readonly left: readonly string[];
  readonly checkpoint: string;
}

/**
 * Makes a run of a teacher's state dict. Everything is checked before anything is written, and the run directory appears whole.
 * @throws CheckpointError for a file that is no state dict or does not fit the model; ConfigError, UsageError for wrong settings;
 *   DatasetError for scenes that are not there; RunError when the folder cannot be written or is not empty
 */
export async function importRun(request: ImportRequest): Promise<ImportOutcome> {
  const { file, out } = request;
  const name = path.basename(file);
  const where = `import: ${name}`;
  await requireWritable(out, "import");
  const there = await listFolder(out);
  if (there.length > 0) throw new RunError(`import: ${out} is not empty, expected a new folder for the run, got ${there.slice(0, 3).join(", ")}${there.length > 3 ? " ..." : ""}. Choose another --out.`);
  const state = decodeStateDict(await readWhole(file), name);
  const known = variablesOf(createTeacher(PUBLISHED_TEACHER, noAnchors)).keys();
  const { prefix, tensors, others } = withoutPrefix(state.tensors, known, where, request.prefix);

  const exported = exportInfo(state.metadata, where);
  const resolved = settingsOf(request, tensors, exported);
  if (resolved.task !== "teacher") throw new Error("import: only teachers are resolved here");
  const { settings, model } = resolved;
  const vocabularies = anchorsOfState(tensors, where);
  const teacher = createTeacher(model, vocabularies);
  const match = matchTeacher(teacher, tensors);
  const { missing, unexpected } = requireAllowed(match, request, where, model);
  requireFinite(match.values, where);

  const values = new Map<string, StoredTensor>();
  for (const [variable, { shape, init }] of variablesOf(teacher)) {
    const value = match.values.get(variable) ?? { shape, dtype: "f32", data: Float32Array.from(initialValues(init, sizeOf(shape), settings.seed, variable)) };
    values.set(`model.${variable}`, value);
  }
  for (const [carried, tensor] of match.carried) values.set(CARRIED + carried, tensor);
  const step = exported?.steps ?? 0;
  const run: Run = {
    ...resolved,
    steps: Math.max(1, step),
    data: await heldOut(request),
    anchors: { ...vocabularies, planSamples: [0, 0, 0], motionSamples: Array.from({ length: 10 }, () => 0) },
    teacher: null,
    versions: { distilldrive: packageVersion(), node: process.versions.node, webgpu: dawnVersion() ?? "none" },
    command: request.command,
    imported: { file: path.resolve(file), format: state.format, prefix, missing, unexpected: [...unexpected, ...others] },
  };
  const checkpoint = await writeAtOnce(out, async (folder) => {
    const info = { task: run.task, step, totalSteps: run.steps, seed: settings.seed, logBytes: 0, batches: null, run: { preset: settings.preset, model } };
    const written = await saveCheckpoint(folder, info, values, 1);
    await writeRun(folder, run);
    return path.join(out, path.relative(folder, written));
  });
  return { run, state: { format: state.format, under: state.under, tensors: state.tensors.size }, prefix, filled: match.values.size, carried: [...match.carried.keys()], missing, left: [...unexpected, ...others], checkpoint };
}

/** Names do not depend on them. */
const noAnchors = { plan: new Float32Array(3 * 6 * 6 * 2), motion: new Float32Array(10 * 6 * 12 * 2) };

async function readWhole(file: string): Promise<Uint8Array> {
  return readFile(file).catch((cause: unknown) => {
    const folder = cause instanceof Error && "code" in cause && cause.code === "EISDIR";
    throw new CheckpointError(`import: ${file} cannot be read (${folder ? "it is a folder" : reasonOf(cause)}), expected a .pth, .pt, .safetensors or .npz file. ${folder ? "Name the file in it." : "Check the path."}`);
  });
}

/** Settings of the run: flags over the configuration file over what the file itself says. */
function settingsOf({ preset, compat, config }: ImportRequest, tensors: ReadonlyMap<string, StoredTensor>, exported: ExportInfo | null): ReturnType<typeof resolveSettings> {
  const content = config?.content ?? {};
  const given = preset !== undefined || (content !== null && typeof content === "object" && "preset" in content);
  // Explicit behaviour wins over that of the run the file was exported from.
  const behaviour = compat === undefined ? {} : TEACHER_COMPAT[compat];
  const own = exported ? { preset: exported.preset, model: { ...exported.model, ...behaviour } } : { preset: "published", model: teacherSizesOf(tensors) };
  const wanted = content !== null && typeof content === "object" && !Array.isArray(content) ? layered(layered(given ? {} : own, content), { town: { scenes: 0 } }) : content;
  return resolveSettings("teacher", wanted, { ...(preset === undefined ? {} : { preset }), ...(compat === undefined ? {} : { compat }) }, config?.where);
}

/** Makes sure that what does not fit was allowed. */
function requireAllowed({ values, missing, unexpected, misfits }: StateMatch, { preset, allowMissing, allowUnexpected }: ImportRequest, where: string, model: TeacherConfig): { missing: string[]; unexpected: string[] } {
  const among = (patterns: readonly string[]): ((name: string) => boolean) => {
    const expressions = patterns.map(patternOf);
    return (name) => expressions.some((expression) => expression.test(name));
  };
  const [mayMiss, mayLeave] = [among(allowMissing), among(allowUnexpected)];
  const sizes = preset === undefined || misfits.length === 0 ? "" : " Leave --preset out to take the sizes from the file.";
  const foreign = missing.length > values.size + misfits.length ? " This looks like the state dict of another model." : "";
  requireMatch(
    { missing: missing.filter((name) => !mayMiss(name)), unexpected: unexpected.filter((name) => !mayLeave(name)), misfits },
    where,
    `a teacher of ${sizesOf(model)}`,
    `Nothing was written.${foreign}${sizes} Where names may be missing (they begin anew) or be left out, say so: --allow-missing <names>, --allow-unexpected <names>, * for any characters.`,
  );
  return { missing: missing.filter(mayMiss), unexpected: unexpected.filter(mayLeave) };
}

/** Sizes that names and shapes depend on, in words. */
export function sizesOf({ channels, agentEncoderLayers, decoderGroups }: TeacherConfig): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  return `${channels} channels, ${count(agentEncoderLayers, "encoder layer")}, ${count(decoderGroups, "decoder group")}`;
}

function requireFinite(values: ReadonlyMap<string, StoredTensor>, where: string): void {
  for (const [name, { data }] of values) {
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw new CheckpointError(`${where}: "${name}" is not finite, expected numbers, got ${data[at] ?? "nothing"} at element ${at}. The training that wrote it had diverged; take an earlier checkpoint.`);
  }
}

/** Scenes to evaluate on: nothing here was trained on any. */
async function heldOut({ data, val }: ImportRequest): Promise<Run["data"]> {
  if (data === undefined) return { path: "", train: [], val: [] };
  const names = (await loadScenes(data)).map(({ id }) => id);
  return { path: path.resolve(data), train: [], val: val === undefined ? names : resolveSceneNames(val, names, "import") };
}

/** Fills a folder beside the place where it shall be, and moves it there; leaves nothing when that fails. */
async function writeAtOnce<Result>(out: string, fill: (folder: string) => Promise<Result>): Promise<Result> {
  const target = path.resolve(out);
  const draft = `${target}.importing-${process.pid}`;
  try {
    const result = await fill(draft);
    // It may be there, empty.
    await rmdir(target).catch(() => undefined);
    await mkdir(path.dirname(target), { recursive: true });
    await rename(draft, target).catch((cause: unknown) => {
      throw new RunError(`import: ${out} cannot be written (${reasonOf(cause)}). Choose another --out.`);
    });
    return result;
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    throw cause;
  }
}
