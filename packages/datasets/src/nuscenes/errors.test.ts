import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DatasetError } from "../errors.js";
import { memoryFiles } from "../files.js";
import { nuScenesFiles, nuScenesSet, tokenOf, type NuScenesSet } from "../testing/nuscenes-set.fixture.js";
import { generateScene } from "../town/index.js";
import { parseArray } from "./json-array.js";
import { readNuScenes } from "./read.js";

const whole = nuScenesSet([generateScene(2, { duration: 4, traffic: 0.2, pedestrians: 0.2 })]);
const location = Object.keys(whole.documents).find((path) => path.startsWith("maps/")) ?? "";
const id = (name: string): string => tokenOf(`town-000002 ${name}`);

/** The message for a set that was spoiled. */
async function failure(spoil: (set: NuScenesSet) => void, files: (bytes: Map<string, Uint8Array>) => void = () => undefined): Promise<string> {
  const set = structuredClone(whole);
  spoil(set);
  const bytes = nuScenesFiles(set);
  files(bytes);
  const error: unknown = await readNuScenes(memoryFiles("set/", bytes), "v1.0-mini").then(() => null, (thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DatasetError);
  return error instanceof Error ? error.message : "";
}

const nothing = (): void => undefined;

/** Sets a field of the first record of a table that has the token, or of the first at all. */
const put = (table: string, field: string, value: unknown, token?: string) => (set: NuScenesSet): void => {
  const record = set.tables[table]?.find((item) => token === undefined || item["token"] === token);
  if (record === undefined) throw new Error(`no ${table} ${token ?? ""}`);
  record[field] = value;
};

type MapLayers = Record<string, Record<string, unknown>[]>;

describe("readNuScenes names table, token and field of what is wrong:", () => {
  const lidar = id("LIDAR_TOP 0 true");
  const annotation = String(whole.tables["sample_annotation"]?.[0]?.["token"]);
  it.each([
    ["a field of the wrong length", put("sample_annotation", "rotation", [1, 0, 0]), `nuScenes: set/v1.0-mini/sample_annotation.json: token ${annotation}: field "rotation": `],
    ["a rotation that is none", put("sample_annotation", "rotation", [2, 0, 0, 0]), `token ${annotation}: field "rotation": expected a unit quaternion w, x, y, z, got [2,0,0,0]. Get the table again`],
    ["a missing field", put("sample", "timestamp", undefined), `nuScenes: set/v1.0-mini/sample.json: token ${id("sample 0")}: field "timestamp": `],
    ["a negative size", put("sample_annotation", "size", [1, -2, 1]), `token ${annotation}: field "size[1]": `],
    ["a dangling scene", put("scene", "first_sample_token", "nobody"), `nuScenes: set/v1.0-mini/scene.json: token ${tokenOf("town-000002")}: field "first_sample_token": dangling, expected a token of sample.json, got "nobody".`],
    ["a dangling next", put("sample", "next", "nobody"), `sample.json: token ${id("sample 0")}: field "next": dangling, expected a token of sample.json, got "nobody"`],
    ["a circle", put("sample", "next", id("sample 0"), id("sample 5")), `sample.json: token ${id("sample 5")}: field "next": goes back, expected a later sample`],
    ["a chain that ends early", put("sample", "next", "", id("sample 5")), `sample.json: token ${id("sample 5")}: field "next": the scene's samples end here, expected all ${whole.tables["sample"]?.length ?? 0} of scene ${tokenOf("town-000002")}, got 2, without "${id("sample 10")}"`],
    ["a chain that begins late", put("scene", "first_sample_token", id("sample 10")), `field "next": the scene's samples end here, expected all`],
    ["a chain that leads elsewhere", put("sample", "scene_token", "other", id("sample 5")), `sample.json: token ${id("sample 0")}: field "next": dangling, expected a token of sample.json`],
    ["an instance twice in a sample", (set: NuScenesSet) => void set.tables["sample_annotation"]?.unshift({ ...set.tables["sample_annotation"][0], token: "again" }), `token ${annotation}: field "instance_token": annotated twice in sample ${String(whole.tables["sample_annotation"]?.[0]?.["sample_token"])}`],
    ["a dangling pose", put("sample_data", "ego_pose_token", "nobody", lidar), `sample_data.json: token ${lidar}: field "ego_pose_token": dangling, expected a token of ego_pose.json, got "nobody"`],
    ["a dangling mount", put("sample_data", "calibrated_sensor_token", "nobody", lidar), `sample_data.json: token ${lidar}: field "calibrated_sensor_token": dangling, expected a token of calibrated_sensor.json`],
    ["a dangling sensor", put("calibrated_sensor", "sensor_token", "nobody"), `calibrated_sensor.json: token ${id("LIDAR_TOP")}: field "sensor_token": dangling`],
    ["no lidar", put("sample_data", "is_key_frame", false, lidar), `sample_data.json: token (none): field "sample_token": no keyframe of LIDAR_TOP for sample ${id("sample 0")}, expected one, got CAM_BACK, CAM_BACK_LEFT`],
    ["a dangling instance", put("sample_annotation", "instance_token", "nobody"), `sample_annotation.json: token ${annotation}: field "instance_token": dangling, expected a token of instance.json`],
    ["a dangling category", put("instance", "category_token", "nobody"), `field "category_token": dangling, expected a token of category.json, got "nobody"`],
    ["a dangling log", put("scene", "log_token", "nobody"), `scene.json: token ${tokenOf("town-000002")}: field "log_token": dangling, expected a token of log.json`],
    ["a camera without size", put("sample_data", "width", null, id("CAM_FRONT 0 true")), `sample_data.json: token ${id("CAM_FRONT 0 true")}: field "width": wrong for a camera, expected a size in pixels, got null`],
    ["a camera without intrinsics", put("calibrated_sensor", "camera_intrinsic", [], id("CAM_FRONT")), `calibrated_sensor.json: token ${id("CAM_FRONT")}: field "camera_intrinsic": wrong for a camera`],
    ["a token twice", put("sample", "token", id("sample 0"), id("sample 5")), `sample.json: token ${id("sample 0")}: field "token": used twice`],
  ])("%s", async (_, spoil, message) => {
    expect(await failure(spoil)).toContain(message);
  });

  it.each(["scene", "sample", "sample_data", "ego_pose", "sample_annotation", "log", "calibrated_sensor", "sensor", "instance", "category"])("the missing table %s", async (table) => {
    expect(await failure(nothing, (files) => files.delete(`v1.0-mini/${table}.json`))).toBe(
      `nuScenes: set/v1.0-mini/${table}.json: the table is missing, expected the file beside the other tables of v1.0-mini, got nothing. Unpack nuScenes' metadata archive here.`,
    );
  });

  it("a table that is cut off or no table", async () => {
    const bytes = (text: string) => (files: Map<string, Uint8Array>) => void files.set("v1.0-mini/log.json", new TextEncoder().encode(text));
    const end = "expected a JSON array of objects. The file is damaged or cut off: copy it again.";
    expect(await failure(nothing, bytes('[{"token": "a", "location": "x"}, {"tok'))).toBe(`nuScenes: set/v1.0-mini/log.json: entry 1: the file ends, ${end}`);
    expect(await failure(nothing, bytes('{"token": "a"}'))).toBe(`nuScenes: set/v1.0-mini/log.json: entry 0: unexpected "{", ${end}`);
    expect(await failure(nothing, bytes('[{"token": nope}]'))).toMatch(/log.json: entry 0: no JSON \(.*\), expected a JSON array of objects/);
    expect(await failure(nothing, bytes(""))).toContain("entry 0: the file ends");
    expect(await failure(nothing, bytes('[{"token": "a", "location": "x"} {"token": "b", "location": "x"}]'))).toContain('entry 1: unexpected "{"');
    expect(await failure(nothing, bytes('[{"token": "a", "location": "x"},]'))).toContain('entry 1: unexpected "]"');
    expect(await failure(nothing, bytes("[,]"))).toContain('entry 0: unexpected ","');
    expect(await failure(nothing, bytes("[]\n]"))).toContain('entry 0: unexpected "]"');
  });

  it("map layers and CAN bus messages", async () => {
    expect(await failure(nothing, (files) => files.delete(location))).toContain(`nuScenes: set/${location}: the map is missing, expected the file of nuScenes' map expansion`);
    const map = (change: (layers: MapLayers) => void) => (set: NuScenesSet) => change(set.documents[location] as MapLayers);
    const first = (layer: string) => ((whole.documents[location] as MapLayers)[layer] as Record<string, unknown>[])[0] as Record<string, unknown>;
    expect(await failure(map((layers) => delete layers["road_segment"]))).toContain(`${location}: layer "road_segment": token (all): field "": `);
    expect(await failure(map((layers) => Object.assign(layers["node"]?.[0] ?? {}, { x: "1" })))).toContain(`layer "node": token ${String(first("node")["token"])}: field "x": `);
    expect(await failure(map((layers) => Object.assign(layers["lane"]?.[0] ?? {}, { polygon_token: "nobody" })))).toContain(`layer "lane": token ${String(first("lane")["token"])}: field "polygon_token": dangling, expected a token of layer "polygon", got "nobody"`);
    expect(await failure(map((layers) => Object.assign(layers["line"]?.[0] ?? {}, { node_tokens: ["nobody"] })))).toContain(`layer "line": token ${String(first("line")["token"])}: field "node_tokens": dangling, expected a token of layer "node"`);
    expect(await failure(map((layers) => Object.assign(layers, { version: "1.2" })))).toContain(`${location}: field "version": outdated, expected 1.3 or newer, got "1.2"`);
    const pose = "can_bus/town-000002_pose.json";
    expect(await failure((set) => Object.assign((set.documents[pose] as object[])[3] ?? {}, { accel: [1, 2] }))).toContain(`nuScenes: set/${pose}: message 3: field "accel": `);
    expect(await failure(nothing, (files) => files.set(pose, new TextEncoder().encode("[1,")))).toContain(`nuScenes: set/${pose}: no JSON, expected a whole file, got 3 bytes`);
  });
});

describe("parseArray", () => {
  it("gives what JSON.parse gives, wherever the chunks are cut", async () => {
    const objects = fc.array(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(objects, fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 9 }), async (list, indent, size) => {
        const bytes = new TextEncoder().encode(`\ufeff ${JSON.stringify(list, null, indent).replaceAll("\n", "\r\n")}\r\n`);
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
        const found: unknown[] = [];
        // eslint-disable-next-line @typescript-eslint/require-await -- an async iterable of what is there already
        await parseArray((async function* () { yield* chunks; })(), "a.json", (entry) => void found.push(entry));
        expect(found).toEqual(JSON.parse(JSON.stringify(list)));
      }),
      { numRuns: 100 },
    );
  });
});
