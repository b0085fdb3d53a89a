import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeScene, generateScene } from "@distilldrive/datasets";
import { sharedPath } from "@distilldrive/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../testing/run-command.js";

describe("bad input ends a training before it writes anything", () => {
  let scratch = "";
  const at = (...names: string[]): string => join(scratch, ...names);
  const scene = new TextDecoder().decode(encodeScene(generateScene(0, { duration: 5 })));
  const folder = async (name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> => {
    await mkdir(at(name));
    for (const [file, content] of Object.entries(files)) await writeFile(at(name, file), content);
    return at(name);
  };
  /** Trains on a folder and expects one paragraph on standard error, nothing else. */
  const refuse = async (data: string, ...more: string[]): Promise<{ status: number; message: string }> => {
    const { status, out, err } = await runCommand(["train", "teacher", "--data", data, "--out", at("run"), ...more]);
    expect(out).toBe("");
    expect(err.trim().split(/\n\s*\n/).length).toBe(1);
    expect(err).not.toContain("    at ");
    expect(await readdir(scratch)).not.toContain("run");
    return { status, message: err.trim() };
  };
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-bad-"));
    await folder("good", { "town-000000.scene.json": scene, "town-000001.scene.json": scene.replace('"town-000000"', '"town-000001"') });
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("a pickle that asks to run code", async () => {
    const { status, message } = await refuse(await folder("evil", { "scene-1.pkl": Uint8Array.of(0x80, 4, 0x8c, 2, ...Buffer.from("os"), 0x8c, 6, ...Buffer.from("system"), 0x93, 0x2e) }));
    expect(status).toBe(1);
    expect(message).toMatch(/^scenarioNet: .*scene-1\.pkl: .*os\.system/);
  });

  const real = sharedPath("data", "scenarionet");
  it.skipIf(real === null)("a real pickle cut short", async () => {
    const bytes = await readFile(join(real ?? "", "scene-0061.pkl"));
    const { status, message } = await refuse(await folder("cut", { "scene-0061.pkl": bytes.subarray(0, 100_000) }));
    expect(status).toBe(1);
    expect(message).toMatch(/^scenarioNet: .*scene-0061\.pkl: .*(truncated|cut|ends)/);
  });

  it.skipIf(real === null)("a real pickle with a pose that is not a number", async () => {
    const bytes = await readFile(join(real ?? "", "scene-0061.pkl"));
    // The ego is the first track; its positions are float64 triples behind the opcode "B" and a length.
    const position = bytes.indexOf("position", bytes.indexOf("tracks"));
    const data = bytes.indexOf(0x42, position) + 5;
    bytes.writeDoubleLE(Number.NaN, data + 8 * 3 * 4);
    const { status, message } = await refuse(await folder("nan-pose", { "scene-0061.pkl": bytes }));
    expect(status).toBe(1);
    expect(message).toMatch(/^scenarioNet: .*scene-0061\.pkl: tracks\..*\.state\.position: the pose is not finite at frame 4, .*got \(NaN, /);
  });

  it("a folder without scenes, and one that is not there", async () => {
    const empty = await refuse(await folder("empty", {}));
    expect([empty.status, empty.message]).toEqual([1, `loadScenes: ${at("empty")}: no scenes, expected .pkl or .scene.json files, nuScenes' folder with v1.0-* or logs of Argoverse 2, got an empty folder. Give the folder that holds ScenarioNet's scene-*.pkl files, or make some: distilldrive data synth.`]);
    expect((await refuse(at("nowhere"))).message).toContain("nowhere: expected a folder or a .pkl or .scene.json file, got nothing");
  });

  it("a scene with a pose that is not a number, or cut short", async () => {
    const spoiled = scene.replace(/("ego":\{.*?"position":\[)(([^,]+,){30})[^,]+,/, "$1$2NaN,");
    const nan = await refuse(await folder("nan", { "a.scene.json": spoiled }));
    expect(nan.status).toBe(1);
    expect(nan.message).toMatch(/^sceneFile: .*a\.scene\.json: ego\.position\[30\] \(frame 10\): /);
    expect((await refuse(await folder("half", { "a.scene.json": scene.slice(0, 9999) }))).message).toMatch(/^sceneFile: .*a\.scene\.json: no JSON.*cut off/);
  });

  it("a configuration with unknown keys, values, presets", async () => {
    const config = async (content: string): Promise<{ status: number; message: string }> => {
      await writeFile(at("config.json"), content);
      return refuse(at("good"), "--config", at("config.json"));
    };
    const key = await config('{ "optimizer": { "learningrate": 1 } }');
    expect(key.status).toBe(1);
    expect(key.message).toMatch(/config\.json: unknown key "optimizer\.learningrate", expected one of learningRate, .*Did you mean "learningRate"\?$/);
    expect((await config('{ "model": { "chanels": 64 } }')).message).toContain('unknown key "model.chanels", expected one of channels, heads');
    expect((await config('{ "batch": 0 }')).message).toContain('"batch": Too small');
    expect((await config('{ "preset": "huge" }')).message).toContain('unknown preset "huge", expected one of tiny, small, full, published.');
    expect((await config("{ batch: 1 }")).message).toContain("config.json: no JSON");
    expect((await config('\uFEFF{ "batch": 0 }\r\n')).message).toContain('"batch": Too small');
    expect((await config("[]")).message).toContain("expected an object of settings");
    const flag = await refuse(at("good"), "--preset", "tiyn");
    expect([flag.status, flag.message]).toEqual([2, 'config: unknown preset "tiyn", expected one of tiny, small, full, published. Did you mean "tiny"?']);
  });

  it("scenes to hold out that are unknown or all there are", async () => {
    expect((await refuse(at("good"), "--val", "000002")).message).toContain('split: unknown scene "000002", expected one of town-000000, town-000001.');
    expect((await refuse(at("good"), "--val", "000000,000001")).message).toContain("split: no scenes to train on");
  });

  it("a run directory that cannot be written", async () => {
    await writeFile(at("file"), "");
    const { status, err } = await runCommand(["train", "teacher", "--data", at("good"), "--out", at("file", "run")]);
    expect([status, err]).toEqual([1, `train teacher: ${at("file", "run")} cannot be written, expected a folder, got the file ${at("file")} in its place. Choose another --out.\n`]);
  });

  it.runIf(process.platform === "linux")("a place that lets nothing be made", async () => {
    const { status, err } = await runCommand(["train", "teacher", "--data", at("good"), "--out", "/proc/distilldrive"]);
    expect([status, err]).toEqual([1, expect.stringMatching(/^train teacher: \/proc\/distilldrive cannot be written \(.*\)(, expected a place where folders can be made)?\. Choose another --out\.\n$/)]);
  });

  it("a run to go on with that is not there, and a file in its place", async () => {
    const resume = (out: string) => runCommand(["train", "teacher", "--data", at("good"), "--out", out, "--resume"]);
    const nothing = await resume(at("nothing"));
    expect([nothing.status, nothing.err]).toEqual([1, `train teacher --resume: ${at("nothing")} holds no run, expected config.json in it. Give the --out of a training run.\n`]);
    await writeFile(at("file"), "");
    expect((await runCommand(["evaluate", "--run", at("file")])).err).toBe(`evaluate: ${at("file")} holds no run, expected config.json in it. Give the --out of a training run.\n`);
  });

  it("words too many, and scenes without their folder", async () => {
    const inspect = await runCommand(["data", "inspect", at("good"), at("good")]);
    expect([inspect.status, inspect.err]).toEqual([2, 'distilldrive data inspect: too many arguments for "inspect". Expected 1 argument but got 2. See: distilldrive data inspect --help\n']);
    const imported = await runCommand(["import", "a.pth", "--out", at("run"), "--val", "0061"]);
    expect([imported.status, imported.err]).toEqual([2, "distilldrive import: --val is given without --data, expected the folder that has those scenes. See: distilldrive import --help\n"]);
    await writeFile(at("notes.txt"), "");
    expect((await runCommand(["data", "inspect", at("notes.txt")])).err).toContain("notes.txt: no scene by its name, expected a folder or a .pkl or .scene.json file");
  });

  it("options that are missing", async () => {
    const { status, err } = await runCommand(["train", "teacher", "--out", at("run")]);
    expect([status, err]).toEqual([2, "distilldrive train teacher: --data <folder> is missing, expected where the scenes are. See: distilldrive train teacher --help\n"]);
    expect((await runCommand(["train", "teacher"])).err).toContain("distilldrive train teacher: --data <folder> is missing, expected where the scenes are.");
  });

  it.runIf(process.platform === "linux")("no adapter", () => {
    const script = `import { main } from ${JSON.stringify(new URL("../main.ts", import.meta.url).href)}; process.exit(await main(process.argv.slice(1)));`;
    const nowhere = "/nonexistent/driver.json";
    const child = spawnSync(process.execPath, ["--conditions=@distilldrive/source", "--import", "tsx", "--input-type=module", "-e", script, "--", "train", "teacher", "--data", at("good"), "--out", at("run")], {
      encoding: "utf8",
      env: { ...process.env, VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere },
    });
    expect([child.status, child.stdout]).toEqual([1, ""]);
    // What Dawn itself prints comes first.
    expect(child.stderr).toMatch(/\nopenDevice: no WebGPU adapter was found, expected at least a software one\. Install [^\n]+\n$/);
    expect(spawnSync("ls", [scratch], { encoding: "utf8" }).stdout.split("\n")).not.toContain("run");
  });
});
