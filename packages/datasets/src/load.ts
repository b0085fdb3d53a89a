import { readArgoverse2 } from "./argoverse2/read.js";
import { diskFiles } from "./disk-files.js";
import { DatasetError } from "./errors.js";
import { resolveSceneNames } from "./names.js";
import { readNuScenes } from "./nuscenes/read.js";
import { readScenarioNet } from "./scenarionet/read.js";
import { decodeScene, SCENE_FILE_SUFFIX } from "./scene-file.js";
import type { Scene } from "./schema.js";

/** Options of {@link loadScenes}. */
export interface LoadOptions {
  /** Only these scenes, e.g. ["0655", "scene-1094"]; all when absent. Others are not even read. */
  readonly only?: readonly string[];
}

/**
 * Reads scenes from disk (Node only; in a browser pass bytes to `readScenarioNet` or `decodeScene`, files to `readNuScenes`).
 * @param path a .pkl file of ScenarioNet or a .scene.json file of ours, a folder with any number of both (summaries
 *   `dataset_*.pkl` are skipped), or one whose folders have them, as ScenarioNet's converters write; nuScenes' own folder,
 *   that is the one with `v1.0-*` in it, or that `v1.0-*` itself where there are several; a log of Argoverse 2 (the folder with `annotations.feather`), or a folder of such logs
 * @returns scenes ordered by name
 * @throws DatasetError for a path that is missing or holds no scenes, for unknown names in `only`, for bad files and
 *   for two files with the same scene
 */
export async function loadScenes(path: string, options: LoadOptions = {}): Promise<Scene[]> {
  const { readFile } = await import("node:fs/promises");
  const official = await nuScenesFolder(path);
  if (official !== null) return readNuScenes(await diskFiles(official.root), official.version, options);
  const logs = await argoverseLogs(path);
  if (logs.length > 0) return readLogs(path, logs, options);
  // ScenarioNet's converters name files sd_<dataset>_<version>_<scene>.pkl.
  const nameOf = (file: string): string => file.replace(/^.*[/\\]/, "").replace(/\.pkl$|\.scene\.json$/, "").replace(/^sd_[^_]+_[^_]+_(?=.)/, "");
  const files = (await sceneFiles(path)).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const names = options.only === undefined ? null : resolveSceneNames(options.only, files.map(nameOf), `loadScenes: ${path}`);
  const scenes: Scene[] = [];
  for (const file of files) {
    if (names !== null && !names.includes(nameOf(file))) continue;
    const bytes = await readFile(file).catch((cause: unknown) => {
      throw new DatasetError(`loadScenes: ${file}: cannot be read, ${reason(cause)}. Check the path and its permissions.`, { cause });
    });
    const scene = file.endsWith(SCENE_FILE_SUFFIX) ? decodeScene(bytes, file) : readScenarioNet(bytes, file);
    if (scenes.some((other) => other.id === scene.id)) {
      throw new DatasetError(`loadScenes: ${file}: expected scenes with different ids, got "${scene.id}" again. Remove one of the two files.`);
    }
    scenes.push(scene);
  }
  return scenes;
}

/** Folder and version where a path is nuScenes in its official layout. */
async function nuScenesFolder(path: string): Promise<{ root: string; version: string } | null> {
  const nodePath = await import("node:path");
  const files = await diskFiles(path);
  const inside = await files.list("");
  const isVersion = (name: string): boolean => /^v1\.0-\w+$/.test(name);
  // One table tells: those that are missing are then named.
  const hasTables = (names: readonly string[]): boolean => names.includes("sample.json") || names.includes("scene.json");
  const name = nodePath.basename(nodePath.resolve(path));
  if (isVersion(name) && hasTables(inside)) return { root: nodePath.join(path, ".."), version: name };
  const versions: string[] = [];
  for (const entry of inside.filter(isVersion)) if (hasTables(await files.list(entry))) versions.push(entry);
  const [version, ...others] = versions.length > 0 ? versions : inside.filter(isVersion);
  if (version === undefined) return null;
  if (others.length === 0) return { root: path, version };
  throw new DatasetError(`loadScenes: ${path}: several versions of nuScenes, expected one, got ${versions.join(", ")}. Name one: ${nodePath.join(path, version)}.`);
}

/** Folders of Argoverse 2 logs: the path itself, or those inside it. */
async function argoverseLogs(path: string): Promise<string[]> {
  const folder = path.replace(/[/\\]+$/, "");
  const files = await diskFiles(folder);
  const isLog = (names: readonly string[]): boolean => names.includes("annotations.feather") || names.includes("city_SE3_egovehicle.feather");
  const names = await files.list("");
  if (isLog(names)) return [folder];
  const logs: string[] = [];
  for (const name of names) if (!name.includes(".") && isLog(await files.list(name))) logs.push(`${folder}/${name}`);
  return logs;
}

async function readLogs(path: string, logs: readonly string[], { only }: LoadOptions): Promise<Scene[]> {
  const nodePath = await import("node:path");
  const nameOf = (log: string): string => nodePath.resolve(log).replace(/^.*[/\\]/, "");
  const names = only === undefined ? null : resolveSceneNames(only, logs.map(nameOf), `loadScenes: ${path}`);
  const scenes: Scene[] = [];
  for (const log of logs) if (names === null || names.includes(nameOf(log))) scenes.push(await readArgoverse2(await diskFiles(log), nameOf(log)));
  return scenes;
}

async function sceneFiles(path: string): Promise<string[]> {
  const { readdir, stat } = await import("node:fs/promises");
  const info = await stat(path).catch((cause: unknown) => {
    throw new DatasetError(`loadScenes: ${path}: expected a folder or a .pkl or .scene.json file, got nothing (${reason(cause)}). Check the path.`, { cause });
  });
  const isScene = (file: string): boolean => file.endsWith(SCENE_FILE_SUFFIX) || (file.endsWith(".pkl") && !/^dataset_\w+\.pkl$/.test(file));
  if (!info.isDirectory()) {
    if (path.endsWith(".pkl") || path.endsWith(SCENE_FILE_SUFFIX)) return [path];
    throw new DatasetError(`loadScenes: ${path}: no scene by its name, expected a folder or a .pkl or .scene.json file, got another file. Give the scene's file, or the folder around it.`);
  }
  const list = (folder: string): Promise<string[]> =>
    readdir(folder).catch((cause: unknown) => {
      throw new DatasetError(`loadScenes: ${folder}: the folder cannot be listed, ${reason(cause)}. Check its permissions.`, { cause });
    });
  const all = await list(path);
  const below = (folder: string, names: readonly string[]): string[] => names.filter(isScene).map((file) => `${folder.replace(/[/\\]+$/, "")}/${file}`);
  const files = below(path, all);
  if (files.length > 0) return files;
  for (const name of all) {
    const folder = `${path.replace(/[/\\]+$/, "")}/${name}`;
    if (await stat(folder).then((entry) => entry.isDirectory(), () => false)) files.push(...below(folder, await list(folder)));
  }
  if (files.length > 0) return files;
  throw new DatasetError(
    `loadScenes: ${path}: no scenes, expected .pkl or .scene.json files, nuScenes' folder with v1.0-* or logs of Argoverse 2, got ${all.length === 0 ? "an empty folder" : `${all.length} other ${all.length === 1 ? "entry" : "entries"} (${all.slice(0, 3).join(", ")}${all.length > 3 ? " ..." : ""})`}. Give the folder that holds ScenarioNet's scene-*.pkl files, or make some: distilldrive data synth.`,
  );
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/, .*$/, "") : String(cause);
}
