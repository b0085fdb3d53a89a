import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadScenes } from "./load.js";
import { encodeScene } from "./scene-file.js";
import { argoverse2Files, argoverse2Log } from "./testing/argoverse2-log.fixture.js";
import { nuScenesFiles, nuScenesSet } from "./testing/nuscenes-set.fixture.js";
import { generateScene } from "./town/index.js";

describe("loadScenes on folders in official layouts", () => {
  let folder = "";
  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distilldrive-load-"));
    const set = nuScenesSet([generateScene(4, { duration: 4 }), generateScene(5, { duration: 4 })]);
    for (const [path, bytes] of nuScenesFiles(set)) await write(`nuscenes/${path}`, bytes);
    for (const seed of [4, 5]) for (const [path, bytes] of argoverse2Files(argoverse2Log(generateScene(seed, { duration: 4 })))) await write(`av2/log-${seed}/${path}`, bytes);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("knows nuScenes by its folder and by its version", async () => {
    const scenes = await loadScenes(join(folder, "nuscenes"));
    expect(scenes.map(({ id, source }) => [id, source])).toEqual([["town-000004", "nuscenes"], ["town-000005", "nuscenes"]]);
    expect(scenes[0]?.cameras?.[0]?.file.startsWith(join(folder, "nuscenes", "samples", "CAM_FRONT", "town-000004"))).toBe(true);
    expect(scenes[0]?.egoStatus?.length).toBe(10 * 9);
    const [one, ...others] = await loadScenes(`${join(folder, "nuscenes", "v1.0-mini")}/`, { only: ["000005"] });
    expect([one?.id, others.length]).toEqual(["town-000005", 0]);
  });

  it("knows an Argoverse 2 log and a folder of logs", async () => {
    expect((await loadScenes(join(folder, "av2"))).map(({ id, source }) => [id, source])).toEqual([["log-4", "av2"], ["log-5", "av2"]]);
    expect((await loadScenes(join(folder, "av2"), { only: ["log-5"] })).map(({ id }) => id)).toEqual(["log-5"]);
    const [scene] = await loadScenes(`${join(folder, "av2", "log-4")}/`);
    expect(scene?.cameras?.[0]?.file).toMatch(new RegExp(`^${join(folder, "av2", "log-4")}/sensors/cameras/ring_front_center/\\d+.jpg$`));
    await expect(loadScenes(join(folder, "av2"), { only: ["log-6"] })).rejects.toThrow('unknown scene "log-6", expected one of log-4, log-5.');
  });

  it("finds a table missing where a version has any, and knows the version it is started in", async () => {
    await write("part/v1.0-mini/scene.json", new TextEncoder().encode("[]"));
    await write("part/v1.0-trainval01_blobs/README", new Uint8Array(0));
    const missing = /nuScenes: .*part\/v1\.0-mini\/sample\.json: the table is missing/;
    await expect(loadScenes(join(folder, "part"))).rejects.toThrow(missing);
    await expect(loadScenes(join(folder, "part", "v1.0-mini"))).rejects.toThrow(missing);
    const dots = join(folder, "nuscenes", "v1.0-mini", "..", "v1.0-mini", ".");
    expect((await loadScenes(`${dots}/.`, { only: ["000004"] })).map(({ id }) => id)).toEqual(["town-000004"]);
  });

  it("reads ScenarioNet's databases, which keep scenes in folders under long names", async () => {
    const scenes = [7, 6].map((seed) => generateScene(seed, { duration: 4 }));
    await write("database/dataset_summary.pkl", new Uint8Array(1));
    for (const [i, scene] of scenes.entries()) await write(`database/part_${i}/${scene.id}.scene.json`, encodeScene(scene));
    expect((await loadScenes(join(folder, "database"))).map(({ id }) => id)).toEqual(["town-000006", "town-000007"]);
    await write("long/dataset_0/sd_nuscenes_v1.0-mini_scene-0061.pkl", new Uint8Array(0));
    await expect(loadScenes(join(folder, "long"), { only: ["0061"] })).rejects.toThrow("sd_nuscenes_v1.0-mini_scene-0061.pkl: the file is empty");
    await expect(loadScenes(join(folder, "long"), { only: ["0062"] })).rejects.toThrow('unknown scene "0062", expected one of scene-0061.');
  });

  it("asks which of several versions is meant", async () => {
    await write("nuscenes/v1.0-trainval/sample.json", new TextEncoder().encode("[]"));
    await expect(loadScenes(join(folder, "nuscenes"))).rejects.toThrow(`loadScenes: ${join(folder, "nuscenes")}: several versions of nuScenes, expected one, got v1.0-mini, v1.0-trainval. Name one: ${join(folder, "nuscenes")}/v1.0-mini.`);
  });
});
