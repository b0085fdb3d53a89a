import { decodeNpz, decodeStateDict, type NumpyArchive } from "@distilldrive/training";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { RunError } from "../../errors.js";
import type { TeacherSet } from "./teacher.js";

/** A folder in the golden layout. */
export interface GoldenFolder {
  readonly folder: string;
  /** Names of everything in it. */
  readonly files: readonly string[];
}

/** Opens `<name>.npz`. @throws CheckpointError when it is damaged */
export async function openArchive({ folder }: GoldenFolder, name: string): Promise<NumpyArchive> {
  return decodeNpz(await readFile(path.join(folder, `${name}.npz`)), `${name}.npz`);
}

/**
 * Reads what a recorded teacher's set needs: the weights and inputs it begins with the name of, and sizes from other sets of the
 * same teacher.
 * @param name of the set, such as `teacher64_losses_grads_maskfix`
 * @throws RunError when there are no weights or inputs
 */
export async function readTeacherSet(golden: GoldenFolder, name: string): Promise<TeacherSet> {
  const { folder, files } = golden;
  const sharing = (suffix: string): string[] => files.flatMap((file) => (file.endsWith(suffix) && name.startsWith(`${file.slice(0, -suffix.length)}_`) ? [file.slice(0, -suffix.length)] : []));
  const [prefix] = sharing("_weights.npz").sort((a, b) => b.length - a.length);
  const begin = /^[^_]*/.exec(name)?.[0] ?? name;
  if (prefix === undefined) throw new RunError(`${name}: no weights, expected ${begin}_weights.npz beside it. Put it there.`);
  if (!files.includes(`${prefix}_inputs.npz`)) throw new RunError(`${name}: no inputs, expected ${prefix}_inputs.npz beside it. Put it there.`);
  const words = name.slice(prefix.length + 1);
  const expected = await openArchive(golden, name);
  const inputs = await openArchive(golden, `${prefix}_inputs`);
  const weights = decodeStateDict(await readFile(path.join(folder, `${prefix}_weights.npz`)), `${prefix}_weights.npz`).tensors;
  const others = files.filter((file) => file.startsWith(`${prefix}_`) && file.endsWith(".npz") && !/_(?:weights|inputs)\.npz$/.test(file)).map((file) => file.slice(0, -4));
  return {
    weights,
    inputs,
    expected,
    training: /trainbn/.test(words),
    stage2: /stage2/.test(words),
    mapVisible: /maskfix/.test(words),
    gradientNames: await gradientNames(golden, prefix, words),
    slots: await sizesOf([expected], others.filter((other) => other !== name), inputs, (other) => openArchive(golden, other)),
  };
}

/** The names behind `gradstat.*`: of `<prefix>_gradstat<anything>.names.txt`, the one named like the set first. */
async function gradientNames({ folder, files }: GoldenFolder, prefix: string, words: string): Promise<string[] | null> {
  const fixed = /maskfix/.test(words);
  const [file] = files
    .filter((name) => name.startsWith(`${prefix}_gradstat`) && name.endsWith(".names.txt"))
    .sort((a, b) => Number(/maskfix/.test(b) === fixed) - Number(/maskfix/.test(a) === fixed) || a.length - b.length);
  if (file === undefined) return null;
  return (await readFile(path.join(folder, file), "utf8")).split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "").filter((line) => line !== "");
}

/** Array names of every frame. */
const AGENT_SLOTS = /^(?:frame\d+\.)?(?:motion\.(?:mask|classification\.0|period)|target\.motion\.cls_target|inter\.agent_encoder\.padding_mask)$/;
const LINE_SLOTS = /^frame\d+\.inter\.map_encoder\.padding_mask$/;

/**
 * Agent and line slots and frames of memory: of the set itself, else of the same teacher's other sets, else as few slots as the
 * inputs need, and the published memory. Line slots that were not recorded make no difference but one (fact T1): whether any is to
 * spare where a sample has the most lines. Recorded teachers are shown a full map, so none is tried first, then one.
 */
async function sizesOf(own: readonly NumpyArchive[], others: readonly string[], inputs: NumpyArchive, open: (file: string) => Promise<NumpyArchive>): Promise<TeacherSet["slots"]> {
  const archives = [...own];
  for (const other of others) {
    try {
      archives.push(await open(other));
    } catch {
      // Said where that set itself is compared.
    }
  }
  const second = (pattern: RegExp): number | undefined => {
    for (const archive of archives) {
      const name = archive.names.find((array) => pattern.test(array));
      if (name !== undefined) return archive.get(name).shape[1];
    }
    return undefined;
  };
  const rows = (array: string): number => Math.max(1, ...inputs.names.filter((name) => name.endsWith(array)).map((name) => inputs.get(name).shape[0] ?? 0));
  const most = rows(".gt_map_labels");
  const lines = second(LINE_SLOTS);
  return {
    agents: second(AGENT_SLOTS) ?? rows(".gt_labels_3d"),
    lines: lines === undefined ? [most, most + 1] : [lines],
    memoryFrames: archives.map(memoryFramesOf).find((frames) => frames !== null) ?? null,
  };
}

/** Entries of the recorded queue once it no longer grows; null where it still does, or was not recorded. */
function memoryFramesOf(archive: NumpyArchive): number | null {
  const entries = new Map<number, number>();
  for (const name of archive.names) {
    const [, frame, entry] = /^frame(\d+)\.queue\.ego_anchor_queue\.(\d+)$/.exec(name) ?? [];
    if (frame === undefined) continue;
    entries.set(Number(frame), Math.max(entries.get(Number(frame)) ?? 0, Number(entry) + 1));
  }
  for (const [frame, count] of entries) if (count < frame + 1) return count;
  return null;
}

