import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../testing/run-command.js";

/** Small enough for a test: the sizes change nothing in what is run. */
const TEACHER = { batch: 2, steps: 3, mirror: false, parts: 1, town: { scenes: 0 }, reference: { steps: 0 }, model: { channels: 16, heads: 2, maxAgents: 4, maxLines: 4 } };
const STUDENT = {
  batch: 2, steps: 2, mirror: false, parts: 1,
  model: { channels: 16, heads: 2, image: { height: 16, width: 32 }, imageChannels: [8, 16], queries: 4, teacherChannels: 16 },
  distillation: { encoderFeature: 1, classification: 1, regression: 1 },
};

describe("train, evaluate, report [gpu]", () => {
  let scratch = "";
  const at = (...names: string[]): string => join(scratch, ...names);
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-train-"));
    await runCommand(["data", "synth", "--out", at("town"), "--scenes", "3", "--duration", "5"]);
    await writeFile(at("teacher.json"), JSON.stringify(TEACHER));
    await writeFile(at("student.json"), JSON.stringify(STUDENT));
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("stops at an interrupt with status 130, and goes on where it was", async () => {
    const out = at("teacher");
    const stopped = await runCommand(["train", "teacher", "--data", at("town"), "--val", "000002", "--config", at("teacher.json"), "--seed", "4", "--out", out], (text, interrupt) => {
      if (text.startsWith("data ")) interrupt.abort(new DOMException("interrupted by SIGINT", "AbortError"));
    });
    expect(stopped.status).toBe(130);
    expect(stopped.err).toMatch(/^device +.*plan +\d+ kernels, 1 submit, /m);
    expect(stopped.err).toMatch(/^data +2 scenes, 42 samples +held out: 1 scene, 5 keyframes$/m);
    expect(stopped.err).toContain(`Stopped after step 1 of 3; everything is saved in ${out}`);
    expect(stopped.err).toContain(`Go on with: npx distilldrive train teacher --out ${out} --resume`);
    const again = await runCommand(["train", "teacher", "--data", at("town"), "--out", out]);
    expect([again.status, again.err]).toEqual([1, `train teacher: ${out} already holds a run, expected an empty directory, got step-00000001.json. Add --resume to continue it, or choose another --out.\n`]);
    const other = await runCommand(["train", "teacher", "--out", out, "--resume", "--seed", "5"]);
    expect([other.status, other.err]).toEqual([1, "train teacher: the run was begun with other settings: seed: expected 4, got 5. Leave them out to continue it as it was, or choose another --out.\n"]);
    const resumed = await runCommand(["train", "teacher", "--out", out, "--resume", "--profile", "--json"]);
    expect(resumed.status).toBe(0);
    const summary = JSON.parse(resumed.out) as { step: number; seed: number; gpuBytes: number; processBytes: number; profile: { kernel: string; milliseconds: number }[] };
    expect([summary.step, summary.seed]).toEqual([3, 4]);
    expect(summary.gpuBytes).toBeGreaterThan(1e5);
    expect(summary.processBytes).toBeGreaterThan(1e7);
    expect(summary.profile.length).toBeGreaterThan(20);
    expect((await readFile(join(out, "metrics.jsonl"), "utf8")).trim().split("\n").length).toBe(3);
  });

  it("stops while the reference path is trained, and goes on with that", async () => {
    await writeFile(at("reference.json"), JSON.stringify({ ...TEACHER, steps: 1, town: { scenes: 1 }, reference: { steps: 4, batch: 2 } }));
    const out = at("with-reference");
    const stopped = await runCommand(["train", "teacher", "--data", at("town"), "--val", "000002", "--config", at("reference.json"), "--out", out], (text, interrupt) => {
      if (text.startsWith("data ")) interrupt.abort(new DOMException("interrupted by SIGINT", "AbortError"));
    });
    expect([stopped.status, await readdir(out)]).toEqual([130, expect.not.arrayContaining(["checkpoints"])]);
    expect(stopped.err).toMatch(/^data +2 scenes and 1 of the synthetic town, \d+ samples/m);
    expect(stopped.err).toContain(`Stopped after step 0 of 1; everything is saved in ${out}`);
    const resumed = await runCommand(["train", "teacher", "--out", out, "--resume", "--json"]);
    expect([resumed.status, (JSON.parse(resumed.out) as { step: number }).step]).toEqual([0, 1]);
    expect((await readFile(join(out, "plan-reference", "metrics.jsonl"), "utf8")).trim().split("\n").length).toBe(4);
  });

  it("distils, evaluates beside the baselines, and reports", async () => {
    const seen = await runCommand(["train", "distill", "--teacher", at("teacher"), "--val", "000001", "--config", at("student.json"), "--out", at("student")]);
    expect([seen.status, seen.err]).toEqual([1, "train distill: the teacher has been trained on scenes that are to be held out: town-000001. Hold out scenes the teacher has not seen (town-000002), or train the teacher without them.\n"]);
    const wide = await runCommand(["train", "distill", "--teacher", at("teacher"), "--out", at("student")]);
    expect([wide.status, wide.err]).toMatchObject([1, expect.stringContaining("the student does not fit its teacher, expected a teacher of 64 channels")]);
    expect(await readdir(scratch)).not.toContain("student");
    const trained = await runCommand(["train", "distill", "--teacher", at("teacher"), "--config", at("student.json"), "--out", at("student")]);
    expect(trained.status).toBe(0);
    const report = await runCommand(["report", "--run", at("teacher"), "--run", at("student"), "--out", at("report.html"), "--no-mlp"]);
    expect([report.status, report.out]).toEqual([0, `Report: ${at("report.html")}\n`]);
    const html = await readFile(at("report.html"), "utf8");
    const words = ["constant velocity", "distilled student", "Camera front left", "5 keyframes of 1 held-out scene (town-000002)", "distillation part of the loss"];
    expect(words.filter((each) => !html.includes(each))).toEqual([]);
    const evaluation = JSON.parse(await readFile(at("student", "evaluation.json"), "utf8")) as { scenes: string[]; planners: { name: string; overall: { samples: number } }[] };
    expect(evaluation.scenes).toEqual(["town-000002"]);
    expect(evaluation.planners.map(({ name, overall }) => [name, overall.samples])).toEqual(["stand still", "constant velocity", "constant turn rate", "distilled student"].map((name) => [name, 5]));
  });

  it("evaluates without reading scenes it does not need, and finds scenes in files of other names", async () => {
    await cp(at("town"), at("renamed"), { recursive: true });
    await rename(at("renamed", "town-000002.scene.json"), at("renamed", "afternoon.scene.json"));
    const renamed = await runCommand(["evaluate", "--run", at("teacher"), "--data", at("renamed"), "--no-mlp", "--json"]);
    await cp(at("town"), at("half"), { recursive: true });
    await writeFile(at("half", "town-000000.scene.json"), "{");
    const half = await runCommand(["evaluate", "--run", at("teacher"), "--data", at("half"), "--no-mlp", "--json"]);
    const planners = [renamed, half].map(({ out }) => (JSON.parse(out) as { planners: unknown }).planners);
    expect(planners[0]).toEqual(planners[1]);
  });

  it("refuses checkpoints of another preset, cut off, or missing, and scenes that were trained on", async () => {
    const evaluate = async (folder: string, ...more: string[]): Promise<string> => {
      const { status, out, err } = await runCommand(["evaluate", "--run", folder, "--no-mlp", ...more]);
      expect([status, out]).toEqual([1, ""]);
      return err;
    };
    const file = join("checkpoints", "step-00000003");
    await cp(at("teacher"), at("other"), { recursive: true });
    const config = JSON.parse(await readFile(at("other", "config.json"), "utf8")) as { settings: { preset: string }; model: { channels: number } };
    config.settings.preset = "small";
    await writeFile(at("other", "config.json"), JSON.stringify(config));
    expect(await evaluate(at("other"))).toMatch(/^checkpoint: .*step-00000003\.json belongs to another preset, expected "small" as in the run's config\.json, got "tiny"\. Put the run's own checkpoint back/);
    config.settings.preset = "tiny";
    config.model.channels = 32;
    await writeFile(at("other", "config.json"), JSON.stringify(config));
    expect(await evaluate(at("other"))).toMatch(/^checkpoint: .* is no state of a "tiny" model with the run's settings, expected ".*" f32 \[.*32.*\], got f32 \[.*16.*\]\./);

    await cp(at("teacher"), at("cut"), { recursive: true });
    await truncate(at("cut", `${file}.safetensors`), 5000);
    expect(await evaluate(at("cut"))).toMatch(/safetensors is truncated, expected \d+ bytes, got 5000\. Use another checkpoint of the run\.\n$/);
    const resumed = await runCommand(["train", "teacher", "--out", at("cut"), "--resume"]);
    expect([resumed.status, resumed.err]).toEqual([1, expect.stringContaining("is truncated, expected")]);

    expect(await evaluate(at("teacher"), "--val", "000001")).toContain("evaluate: the run has been trained on town-000001, expected scenes it has not seen.");
    await mkdir(at("empty"));
    expect(await evaluate(at("empty"))).toBe(`evaluate: ${at("empty")} holds no run, expected config.json in it. Give the --out of a training run.\n`);
  });
});
