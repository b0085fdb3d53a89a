import { matmul, targetOf } from "@distilldrive/kernels";
import { parse } from "node-html-parser";
import { describe, expect, it } from "vitest";
import { openBenchDevice } from "./adapter.js";
import { createBench } from "./bench.js";
import { teacherOfSize } from "./models/tasks.js";
import { formatReport } from "./report/format.js";
import { reportHtml } from "./report/html.js";
import type { Problem } from "./problems/problem.js";
import { defineKernel } from "./user-kernel.js";

const product = { op: "matmul", form: "NN", m: 24, n: 20, k: 12 } as const;
const problems: readonly Problem[] = [product, { ...product, form: "NT" }, { op: "softmax", rows: 6, width: 20 }];
const quick = { runs: 2, sampleMs: 1 } as const;

describe("bench [gpu]", () => {
  it("measures ours, a user's kernel and a wrong one, checked against float64", async () => {
    const opened = await openBenchDevice();
    const made = matmul({ batch: 1, m: product.m, n: product.n, k: product.k }, targetOf(opened.device.gpu));
    opened.device.close();
    const bench = createBench();
    bench.add("matmul", made);
    // The same kernel under a false name: its b is not stored transposed.
    bench.add("matmul", defineKernel({ name: "wrong", kernel: "matmul", build: ({ form }) => (form === "NT" ? made : undefined) }));
    const report = await bench.run({ ...quick, problems });
    expect(report.rows.map(({ kernel, form, library }) => [kernel, form, library])).toEqual([
      ["matmul", "NN", "distilldrive"], ["matmul", "NN", made.name], ["matmul", "NT", "distilldrive"], ["softmax", "rows", "distilldrive"],
    ]);
    for (const row of report.rows) {
      expect(row.medianMs).toBeGreaterThan(0);
      expect(row.maxRelError).toBeLessThan(1e-5);
      expect(Object.keys(row)).toEqual(["suite", "kernel", "form", "shape", "library", "direction", "medianMs", "p10Ms", "p90Ms", "gflops", "gbps", "maxRelError"]);
    }
    expect(report.comparisons.map(({ peer }) => peer)).toEqual([made.name]);
    expect(report.remarks.map(({ library, form, status }) => [library, form, status])).toEqual([["wrong", "NT", "wrong"]]);
    expect(report.ceilings.fmaGflops).toBeGreaterThan(0);
    expect(report.ceilings.copyGBps).toBeGreaterThan(0);
    expect(formatReport(report)).toContain("matmul NN [24,12]x[12,20] forward");
    const page = parse(reportHtml(report));
    expect(page.querySelectorAll("tbody tr.ours")).toHaveLength(3);
    expect(page.querySelectorAll("circle")).toHaveLength(4);
    expect(page.querySelectorAll("rect")).toHaveLength(4);
  });

  it("looks into a block's training step and sweeps it: one submit, no buffers after the second step", async () => {
    const block = { batch: 2, tokens: 5, width: 16, heads: 2, hidden: 24 };
    const report = await createBench().run({ ...quick, suite: "block", block, sweep: { block, blockBatches: [1, 2], blockTokens: [3], teacherBatches: [], teacherAgents: [] } });
    expect(report.rows).toHaveLength(1);
    expect(report.rows[0]?.maxRelError).toBeLessThan(1e-5);
    expect(report.steps.map(({ submits, allocationsAfterSecondStep }) => [submits, allocationsAfterSecondStep])).toEqual([[1, 0]]);
    expect(report.sweep.map(({ axis, value }) => [axis, value])).toEqual([["batch", 1], ["batch", 2], ["agents", 3]]);
    expect(report.sweep[1]?.workRatio).toBeGreaterThan(1);
  });

  it("says what a teacher's step computes and saves where samples have as many agents and lines as asked for", async () => {
    const { task } = teacherOfSize({ preset: "small", batch: 2, present: { agents: 24, lines: 20 } });
    const { inputs, slots } = await task.batches.next();
    expect(slots).toEqual({ agents: 24 });
    expect((inputs["agentMask"] as Float32Array).every((value) => value === 1)).toBe(true);
    expect((inputs["lineMask"] as Float32Array).reduce((count, value) => count + value, 0)).toBe(40);
    await expect(async () => teacherOfSize({ preset: "tiny", batch: 2, present: { agents: 24 } }).task.batches.next()).rejects.toThrow("expected at most 16, got 24");

    const report = await createBench().run({ ...quick, suite: "teacher", preset: "tiny", batch: 2, present: { agents: 3, lines: 16 } });
    const [step] = report.steps;
    const { computed, allSlots, allRows } = step?.work ?? {};
    expect(computed).toEqual(allSlots);
    for (const part of ["step", "forward"] as const) expect(allSlots?.[part]).toBeLessThan(allRows?.[part] ?? 0);
    expect(step?.deviceBytes).toBeGreaterThan(step?.plannedPeakBytes ?? 0);
    expect(formatReport(report)).toContain("and with the rows nobody reads");
    expect(parse(reportHtml(report)).textContent).toContain("and with the rows nobody reads");
  });

  it("times the teacher's start with an empty and a warm driver cache", async () => {
    const report = await createBench().run({ ...quick, problems: [product], cold: true, batch: 2 });
    for (const times of [report.start?.cold, report.start?.warm]) {
      expect(times?.firstStepMs).toBeGreaterThan(0);
      expect(times?.totalMs).toBeCloseTo((times?.openMs ?? 0) + (times?.compileMs ?? 0) + (times?.firstStepMs ?? 0), 6);
    }
    expect(formatReport(report)).toContain("teacher tiny B=2, empty driver cache");
  });

  it("measures a peer in a process of its own", async () => {
    const report = await createBench().run({ ...quick, problems: [product], peers: ["jax-js-wasm"] });
    expect(report.remarks).toEqual([]);
    expect(report.rows.map(({ library }) => library)).toEqual(["distilldrive", "jax-js-wasm"]);
    expect(report.comparisons).toHaveLength(1);
    expect(report.versions["@jax-js/jax"]).toMatch(/^\d+\.\d+/);
  });
});

describe("bench refuses", () => {
  it("unknown suites, peers and rows before it measures", async () => {
    const bench = createBench();
    await expect(bench.run({ suite: "kernel" as "kernels" })).rejects.toThrow(/unknown suite "kernel", expected one of kernels, block/);
    await expect(bench.run({ peers: ["torch" as "tfjs"] })).rejects.toThrow(/unknown peer "torch", expected one of tfjs/);
    await expect(bench.run({ only: "nothing" })).rejects.toThrow(/no row is called "nothing"/);
    expect(() => bench.add("softmax", defineKernel({ name: "x", kernel: "matmul", build: () => undefined }))).toThrow(/is made for matmul/);
  });
});
