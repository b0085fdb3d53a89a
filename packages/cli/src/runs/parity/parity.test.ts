import { sharedPath } from "@distilldrive/testkit";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runCommand } from "../../testing/run-command.js";
import { openBackend, referenceBackend } from "./backend.js";
import { compareAll } from "./compare.js";
import { runParity, type SetResult } from "./parity.js";

const golden = sharedPath("golden");
/** Tensors out of tolerance, with the reason of sets that could not run. */
const failures = (results: readonly SetResult[]): string[] =>
  results.flatMap(({ name, comparisons, reason }) => [
    ...(reason === undefined ? [] : [`${name}: ${reason}`]),
    ...comparisons.filter(({ ok }) => !ok).map((entry) => `${name} ${entry.name}: ${entry.error}`),
  ]);

describe.skipIf(golden === null)("the published teacher and modules", () => {
  it("are reproduced on the adapter: outputs, losses, gradients, both readings of the map mask [gpu]", async () => {
    const backend = await openBackend("gpu");
    try {
      const results = await runParity(golden ?? "", { backend, only: "teacher64_*" });
      expect(failures(results)).toEqual([]);
      const of = (name: string): number => results.find((result) => result.name === name)?.comparisons.length ?? 0;
      expect(of("teacher64_losses_grads_maskfix")).toBeGreaterThan(260);
      expect(of("teacher64_outputs")).toBeGreaterThan(300);
    } finally {
      backend.close();
    }
  });

  it.each(["anchor", "deformagg", "distribution", "dqn", "focal", "klloss", "mha", "planmetric", "points", "probloss", "rescore", "sine", "topk"])("unit_%s in float64", async (unit) => {
    const results = await runParity(golden ?? "", { backend: referenceBackend(), only: `unit_${unit}` });
    expect(failures(results)).toEqual([]);
    expect(results[0]?.state).toBe("passed");
    expect(results[0]?.left.filter(({ reason }) => reason.startsWith("unknown"))).toEqual([]);
  });
});

describe("compareAll", () => {
  it("measures errors by the largest expected value, and counts what must be equal", () => {
    const [within, beyond, exact, masked] = compareAll([
      { name: "a", kind: "activation", actual: [10.0009, 0], expected: [10, 0] },
      { name: "b", kind: "loss", actual: [10.0009], expected: [10] },
      { name: "c", kind: "exact", actual: [1, 2], expected: [1, 3] },
      { name: "d", kind: "exact", actual: [1, 2], expected: [1, 3], counts: [1, 0] },
    ]);
    expect([within?.ok, beyond?.ok, exact?.error, masked?.ok]).toEqual([true, false, 1, true]);
  });

  it("measures elements by scales of their own, and says which one is off", () => {
    const [found] = compareAll([{ name: "gradstat.l2", kind: "gradient", actual: [100, 0.0101], expected: [100, 0.01], scales: [100, 0.01], labels: ["large", "small"] }]);
    expect([found?.ok, found?.note, found?.error.toFixed(4)]).toEqual([false, "small", "0.0100"]);
  });

  it("never matches what is not finite, and counts what it compared", () => {
    const [both, infinite, none] = compareAll([
      { name: "both", kind: "activation", actual: [NaN], expected: [NaN] },
      { name: "infinite", kind: "exact", actual: [Infinity], expected: [Infinity] },
      { name: "none", kind: "activation", actual: [1], expected: [2], counts: [0] },
    ]);
    expect([both?.ok, infinite?.ok, none?.elements]).toEqual([false, false, 0]);
  });

  it("compares a vanishing gradient with the largest one, and does not let a missing one pass", () => {
    const large = { name: "large", kind: "gradient", actual: [100], expected: [100] } as const;
    const [, rounding] = compareAll([large, { name: "small", kind: "gradient", actual: [3e-6], expected: [-1e-6] }]);
    const [, wrong] = compareAll([large, { name: "small", kind: "gradient", actual: [0.01], expected: [1e-6] }]);
    const [nan, short] = compareAll([{ name: "nan", kind: "activation", actual: [NaN], expected: [0] }, { name: "short", kind: "activation", actual: [], expected: [0] }]);
    expect([rounding?.ok, wrong?.ok, nan?.ok, short?.ok]).toEqual([true, false, false, false]);
  });

  it("asks for no more of a small gradient than one float32 step of the largest", () => {
    const large = { name: "large", kind: "gradient", actual: [100], expected: [100] } as const;
    const small = (error: number): boolean | undefined => compareAll([large, { name: "small", kind: "gradient", actual: [0.002 + error], expected: [0.002] }])[1]?.ok;
    expect([small(5e-6), small(7e-6)]).toEqual([true, false]);
  });
});

describe("distilldrive parity", () => {
  it("lists models that do not exist yet without counting them, and refuses damaged files and empty folders", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "parity-"));
    try {
      const empty = await runCommand(["parity", folder, "--backend", "reference"]);
      expect([empty.status, empty.err]).toEqual([1, expect.stringContaining("nothing to compare")]);
      await writeFile(path.join(folder, "student8_outputs.npz"), "");
      const unbuilt = await runCommand(["parity", folder, "--backend", "reference"]);
      expect([unbuilt.status, unbuilt.out]).toEqual([1, expect.stringContaining("0 passed, 0 failed, 1 not built; nothing was compared")]);
      await writeFile(path.join(folder, "teacher8_outputs.npz"), "");
      await writeFile(path.join(folder, "unit_dqn.npz"), "no archive");
      const damaged = await runCommand(["parity", folder, "--backend", "reference", "--json"]);
      const report = JSON.parse(damaged.out) as { ok: boolean; sets: { state: string; reason?: string }[] };
      expect([damaged.status, report.ok, report.sets.map(({ state }) => state)]).toEqual([1, false, ["not built", "failed", "failed"]]);
      expect(report.sets[1]?.reason).toContain("no weights, expected teacher8_weights.npz");
      expect(report.sets[2]?.reason).toContain("not a numpy archive");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
