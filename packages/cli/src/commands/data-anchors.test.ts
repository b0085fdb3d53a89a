import { buildAnchors, loadScenes } from "@distilldrive/datasets";
import { decodeNpy, loadCheckpoint, modelValues } from "@distilldrive/training";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAnchors } from "../runs/anchor-files.js";
import { findRun } from "../runs/run-file.js";
import { runCommand } from "../testing/run-command.js";

const TEACHER = { batch: 2, steps: 1, mirror: false, parts: 1, town: { scenes: 0 }, reference: { steps: 0 }, model: { channels: 16, heads: 2, maxAgents: 4, maxLines: 4, agentEncoderLayers: 1 } };

describe("data anchors, train --anchors, train --start", () => {
  let scratch = "";
  const at = (...names: string[]): string => join(scratch, ...names);
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-anchors-"));
    await runCommand(["data", "synth", "--out", at("town"), "--scenes", "3", "--duration", "5"]);
    await writeFile(at("teacher.json"), JSON.stringify(TEACHER));
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("writes both vocabularies as published: same scenes, same bytes, and reads them back bit for bit", async () => {
    const made = await runCommand(["data", "anchors", "--data", at("town"), "--val", "000002", "--seed", "4", "--out", at("anchors"), "--json"]);
    expect(JSON.parse(made.out)).toMatchObject({
      scenes: ["town-000000", "town-000001"],
      files: [{ file: at("anchors", "kmeans_plan_6.npy"), shape: [3, 6, 6, 2] }, { file: at("anchors", "kmeans_motion_6.npy"), shape: [10, 6, 12, 2] }],
    });
    const { plan, motion } = buildAnchors(await loadScenes(at("town"), { only: ["000000", "000001"] }), { seed: 4 });
    expect(await readAnchors(at("anchors"))).toEqual({ plan, motion });
    expect(await readAnchors(at("anchors", "kmeans_plan_6.npy"))).toEqual({ plan });
    // Fact T12: the file has x and y of the agents' paths the other way round.
    const { shape, values } = decodeNpy(new Uint8Array(await readFile(at("anchors", "kmeans_motion_6.npy"))), "motion");
    expect([shape, values[0], values[1]]).toEqual([[10, 6, 12, 2], motion[1], motion[0]]);
    await runCommand(["data", "anchors", "--data", at("town"), "--val", "000002", "--seed", "4", "--out", at("again")]);
    for (const name of ["kmeans_plan_6.npy", "kmeans_motion_6.npy"]) expect(await readFile(at("again", name))).toEqual(await readFile(at("anchors", name)));
  });

  it("makes as many modes as asked for, and training says which it reads", async () => {
    const { out } = await runCommand(["data", "anchors", "--data", at("town"), "--plan-modes", "3", "--motion-modes", "8", "--out", at("others")]);
    expect(out).toContain("kmeans_plan_3.npy  [3, 3, 6, 2]\n");
    expect(decodeNpy(new Uint8Array(await readFile(at("others", "kmeans_motion_8.npy"))), "motion").values.every(Number.isFinite)).toBe(true);
    const train = async (anchors: string): Promise<string> => (await runCommand(["train", "teacher", "--data", at("town"), "--anchors", anchors, "--out", at("never")])).err;
    expect(await train(at("others", "kmeans_plan_3.npy"))).toBe(
      `${at("others", "kmeans_plan_3.npy")}: wrong shape for a vocabulary, expected [3, 6, 6, 2] for plan (commands right, left, straight; modes; steps of 0.5 s; x right, y forward in m) or [10, 6, 12, 2] for motion (classes; modes; steps of 0.5 s; left of the heading, along it in m), got [3, 3, 6, 2]. Make one with: distilldrive data anchors\n`,
    );
    expect(await train(at("town"))).toContain("holds no .npy files, expected kmeans_plan_6.npy and kmeans_motion_6.npy");
    expect(await train(at("nowhere"))).toContain("cannot be read (ENOENT: no such file or directory)");
    await writeFile(at("text.npy"), "no array");
    expect(await train(at("text.npy"))).toContain("not a numpy array");
    expect((await runCommand(["data", "anchors", "--data", at("town"), "--out", at("x"), "--plan-modes", "21"])).status).toBe(2);
    expect(await findRun(at("never"))).toBeNull();
  });

  it("trains with imported vocabularies, and begins with another run's weights and anchors [gpu]", async () => {
    const train = (...more: string[]): ReturnType<typeof runCommand> => runCommand(["train", "teacher", "--data", at("town"), "--config", at("teacher.json"), ...more]);
    const first = await train("--anchors", at("anchors"), "--val", "000002", "--out", at("first"));
    expect(first.status, first.err).toBe(0);
    const { plan, motion } = await readAnchors(at("anchors"));
    expect(await findRun(at("first"))).toMatchObject({ anchors: { plan, motion } });

    const seen = await train("--start", at("first"), "--val", "000001", "--out", at("second"));
    expect(seen.err).toContain(`${at("first")} has been trained on scenes that are to be held out: town-000001.`);
    const both = await train("--start", at("first"), "--anchors", at("anchors"), "--val", "000002", "--out", at("second"));
    expect([both.status, both.err]).toEqual([2, expect.stringContaining("--anchors does not go with --start")]);
    await writeFile(at("wide.json"), JSON.stringify({ ...TEACHER, model: { ...TEACHER.model, channels: 32 } }));
    const wide = await runCommand(["train", "teacher", "--data", at("town"), "--config", at("wide.json"), "--start", at("first"), "--val", "000002", "--out", at("second")]);
    expect(wide.err).toMatch(/is no state of a "tiny" model with the run's settings, expected "model\..*" f32 \[.*32.*\], got f32 \[.*16.*\]/);
    expect(await findRun(at("second"))).toBeNull();

    // Learning rate 0: what comes out is what went in.
    await writeFile(at("still.json"), JSON.stringify({ ...TEACHER, dropout: 0, optimizer: { learningRate: 1e-30, weightDecay: 0 } }));
    expect((await runCommand(["train", "teacher", "--data", at("town"), "--config", at("still.json"), "--seed", "9", "--start", at("first"), "--val", "000002", "--out", at("second")])).err).toMatch(/^data /m);
    const second = await findRun(at("second"));
    expect(second).toMatchObject({ anchors: { plan, motion }, start: { run: at("first"), step: 1, scenes: ["town-000000", "town-000001"] } });
    const weights = async (run: string): Promise<Float32Array> => {
      const { tensors } = await loadCheckpoint(at(run));
      return modelValues(tensors).get("plan_instance_encoder.0.weight")?.data as Float32Array;
    };
    expect(await weights("second")).toEqual(await weights("first"));
    const other = await train("--start", at("other"), "--out", at("second"), "--resume");
    expect(other.err).toContain(`was begun with ${at("first")}, got --start`);
  });
});
