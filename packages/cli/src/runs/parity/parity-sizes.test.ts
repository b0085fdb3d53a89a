import { readNpz, type WrittenArray, writeNpz } from "@distilldrive/testkit";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, openBackend } from "./backend.js";
import { writeGolden } from "./golden.fixture.js";
import { runParity, type SetResult } from "./parity.js";

/** Sizes that the published vectors do not have. */
const SIZES = { channels: 32, lanes: 3, agents: 5, lines: 3, frames: 3, memoryFrames: 2, seed: 1 };

describe("parity with a teacher of other sizes", () => {
  let folder: string;
  let backend: Backend;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "parity-sizes-"));
    backend = await openBackend("gpu");
    await writeGolden(folder, "teacher32", SIZES, [
      { suffix: "outputs", holds: "outputs" },
      { suffix: "losses_grads", holds: "gradient statistics" },
      { suffix: "trainbn_maskfix", holds: "training" },
    ]);
  }, 120_000);
  afterAll(async () => {
    backend.close();
    await rm(folder, { recursive: true });
  });

  it("reads width, batch, slots, frames and memory from the files [gpu]", async () => {
    const results = await runParity(folder, { backend });
    expect(results.flatMap(({ comparisons, reason }) => [...(reason === undefined ? [] : [reason]), ...comparisons.filter(({ ok }) => !ok).map(({ name, error }) => `${name}: ${error}`)])).toEqual([]);
    expect(results.map(({ name, state }) => [name, state])).toEqual([["teacher32_losses_grads", "passed"], ["teacher32_outputs", "passed"], ["teacher32_trainbn_maskfix", "passed"]]);
    const [gradients, outputs, training] = results.map(({ comparisons }) => comparisons.map(({ name }) => name));
    expect(gradients).toEqual(expect.arrayContaining(["gradstat.l2", "gradstat.sum", "loss.planning_loss_rl_0"]));
    expect(outputs).toEqual(expect.arrayContaining(["frame2.queue.motion_anchor_queue.1", "frame2.inter.temp.feature"]));
    expect(training).toEqual(expect.arrayContaining(["running_after_frame1.map_encoder.polygon_encoder.first_mlp.1.running_var", "gradall.fc_after.weight"]));
    expect(results.flatMap(({ left }) => left)).toEqual([]);
  });

  /** One set of a folder with the weights and inputs, changed. */
  async function changed(set: string, change: (arrays: Map<string, WrittenArray>) => void): Promise<SetResult | undefined> {
    const other = await mkdtemp(path.join(tmpdir(), "parity-changed-"));
    try {
      for (const file of ["weights.npz", "inputs.npz", "gradstat.names.txt"]) await copyFile(path.join(folder, `teacher32_${file}`), path.join(other, `teacher32_${file}`));
      const archive = readNpz(path.join(folder, `${set}.npz`));
      const arrays = new Map(archive.names.map((name): [string, WrittenArray] => {
        const { shape, dtype } = archive.get(name);
        return [name, { shape, values: archive.get(name).numbers(), ...(dtype === "<i4" ? { dtype } : {}) }];
      }));
      change(arrays);
      await writeFile(path.join(other, `${set}.npz`), writeNpz(arrays));
      return (await runParity(other, { backend }))[0];
    } finally {
      await rm(other, { recursive: true });
    }
  }
  const wrong = (result: SetResult | undefined): string[] => (result?.comparisons ?? []).filter(({ ok }) => !ok).map(({ name, note }) => `${name}: ${note ?? ""}`);

  it("finds one parameter's gradient that is off among statistics, losses nobody computes and values that are not finite [gpu]", async () => {
    const result = await changed("teacher32_losses_grads", (arrays) => {
      const lengths = Float64Array.from(arrays.get("gradstat.l2")?.values ?? []);
      lengths[7] = (lengths[7] ?? 0) * 1.001;
      arrays.set("gradstat.l2", { shape: [lengths.length], values: lengths });
      arrays.set("loss.of_another_model", { shape: [], values: [1] });
      arrays.set("loss_total", { shape: [], values: [NaN] });
      arrays.set("frame0.inter.of_another_model", { shape: [1], values: [1] });
      for (const name of [...arrays.keys()]) if (/^frame[01]\.(?!inter\.(?:of|map_encoder\.padding))/.test(name)) arrays.delete(name);
    });
    expect(result?.state).toBe("failed");
    expect(wrong(result)).toEqual([
      "loss_total: the recorded values are not finite: element 0 is NaN",
      "gradstat.l2: agent_encoder.agent_feat_embed.encoder.layers.0.self_attn.out_proj.bias",
      "loss.of_another_model: the model here has no such value",
    ]);
    expect(result?.left).toEqual([{ name: "frame0.inter.of_another_model", reason: "unknown: nothing here computes it" }]);
  });

  it("does not need the other sets of a teacher, and fails a set without inputs for its frames [gpu]", async () => {
    const alone = await changed("teacher32_outputs", (arrays) => {
      for (const name of arrays.keys()) if (!/^frame\d\.(?:planning\.(?:prediction|classification)|queue\.ego)/.test(name)) arrays.delete(name);
    });
    expect([alone?.state, alone?.comparisons.length]).toEqual(["passed", 2 * SIZES.frames + 5]);
    const beyond = await changed("teacher32_outputs", (arrays) => arrays.set("frame7.planning.period", { shape: [1], values: [1] }));
    expect([beyond?.state, beyond?.reason]).toEqual(["failed", expect.stringContaining("values of frame 7")]);
  });
});
