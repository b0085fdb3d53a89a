import { type Device, fanInUniform, linear, mean, mul, openDevice, parameter, relu, square, sub, type Variable } from "@distilldrive/tensor";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fit, type FitOptions, type Task } from "./fit.js";
import { optimizerSchema, precisionSchema } from "./schedule.js";
import { TOY_SETTINGS } from "./testing/toy-task.js";

/** A regression wide enough for its activations to be stored as f16; from batch `poisonFrom` on its activations leave f16's range, not f32's. @param weight factor on the loss */
function regression(poisonFrom = Number.POSITIVE_INFINITY, weight = 1): Task {
  const layer = (inputs: number, outputs: number): { weight: Variable; bias: Variable } => ({ weight: parameter([outputs, inputs], fanInUniform(inputs)), bias: parameter([outputs], fanInUniform(inputs)) });
  const model = { one: layer(16, 64), two: layer(64, 64), out: layer(64, 8) };
  let position = 0;
  return {
    name: "regression",
    model: { model },
    batches: {
      next: () => {
        const x = Float32Array.from({ length: 512 }, (_, i) => Math.sin((512 * position + i + 1) ** 2 * 0.37) * (position >= poisonFrom ? 1e7 : 1));
        const y = Float32Array.from({ length: 256 }, (_, i) => (x[16 * Math.floor(i / 8) + (i % 8)] ?? 0) * (x[16 * Math.floor(i / 8) + 8 + (i % 8)] ?? 0));
        position++;
        return { inputs: { x, y }, samples: 32 };
      },
      state: () => position,
      restore: (state) => {
        position = Number(state);
      },
    },
    trace: (graph) => {
      const hidden = relu(linear(graph.input("x", [32, 16]), model.one.weight, model.one.bias));
      const deeper = relu(linear(hidden, model.two.weight, model.two.bias));
      const error = sub(linear(deeper, model.out.weight, model.out.bias), graph.input("y", [32, 8]));
      return { loss: graph.scope("loss", () => mul(mean(square(error)), weight)), terms: {} };
    },
  };
}

interface Line {
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly lossScale?: number;
}

describe("mixed precision [gpu]", () => {
  let device: Device;
  let scratch: string;
  beforeAll(async () => {
    device = await openDevice();
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-mixed-"));
  });
  afterAll(async () => {
    device.close();
    await rm(scratch, { recursive: true, force: true });
  });
  let runs = 0;
  const settings = (precision: Record<string, unknown>, more: Partial<FitOptions> = {}): FitOptions => ({
    ...TOY_SETTINGS, device, task: regression(), out: path.join(scratch, `run-${runs++}`), resume: false, checkpointEvery: 1000, logEvery: 10, steps: 120,
    optimizer: optimizerSchema.parse({ warmupSteps: 5, learningRate: 0.01, weightDecay: 0 }), precision: precisionSchema.parse(precision), ...more,
  });
  const lines = async (options: FitOptions): Promise<Line[]> => {
    await fit(options);
    return (await readFile(path.join(options.out, "metrics.jsonl"), "utf8")).trim().split("\n").map((line) => JSON.parse(line) as Line);
  };

  test.each([32, "dynamic"] as const)("with loss scale %s a task converges as it does in f32, and its gradients are as large", async (lossScale) => {
    const [full, mixed] = [await lines(settings({ storage: "f32" })), await lines(settings({ storage: "mixed", lossScale }))];
    const end = (all: readonly Line[]): number => all.slice(-10).reduce((sum, { loss }) => sum + loss / 10, 0);
    expect(end(full)).toBeLessThan((full[0]?.loss ?? 0) / 3);
    expect(Math.abs(end(mixed) / end(full) - 1)).toBeLessThan(0.05);
    expect(Math.abs((mixed[0]?.gradientNorm ?? 0) / (full[0]?.gradientNorm ?? 1) - 1)).toBeLessThan(0.01);
    if (device.target.f16) expect(mixed[0]?.loss).not.toBe(full[0]?.loss);
  });

  test("dynamic scaling skips steps that overflow, halves the scale, and doubles it after good steps", async (context) => {
    if (!device.target.f16) return context.skip("the adapter has no shader-f16");
    // The loss is so large that its gradients overflow under the scale at the beginning.
    const own = await lines(settings({ storage: "mixed", lossScale: "dynamic", growthSteps: 20 }, { steps: 60, task: regression(Number.POSITIVE_INFINITY, 3e4) }));
    expect(own[0]).toMatchObject({ gradientNorm: -1, lossScale: 65536 });
    const first = own.findIndex(({ gradientNorm }) => gradientNorm > 0);
    expect(first).toBeGreaterThan(1);
    expect(own.slice(0, first + 1).map(({ lossScale }) => lossScale)).toEqual(Array.from({ length: first + 1 }, (_, i) => 65536 / 2 ** i));
    let good = 0;
    own.slice(0, -1).forEach(({ gradientNorm, lossScale = 0 }, step) => {
      good = gradientNorm > 0 ? good + 1 : 0;
      const next = gradientNorm < 0 ? lossScale / 2 : good === 20 ? lossScale * 2 : lossScale;
      if (good === 20) good = 0;
      expect(own[step + 1]?.lossScale).toBe(next);
    });
    expect(own.some(({ lossScale = 0 }, step) => lossScale > (own[step - 1]?.lossScale ?? Number.POSITIVE_INFINITY))).toBe(true);
    expect(own.at(-1)?.loss).toBeLessThan((own[0]?.loss ?? 0) / 1.5);
  });

  test("a number that overflows half precision is found where it arises", async (context) => {
    if (!device.target.f16) return context.skip("the adapter has no shader-f16");
    await expect(fit(settings({ storage: "mixed" }, { task: regression(8), steps: 30 }))).rejects.toThrow(/step 9 produced a number that is not finite, first in element \d+ of %\d+ = (matmul|relu)/);
  });

  test("an interrupted mixed run ends with the same bits, loss scale and all", async () => {
    const precision = { storage: "mixed", lossScale: "dynamic", growthSteps: 5 };
    const optimizer = optimizerSchema.parse({ kind: "soap", accumulate: 2, beta2: 0.95, learningRate: 0.01, soap: { preconditionFrequency: 4 } });
    const whole = settings(precision, { steps: 16, optimizer });
    const complete = await fit(whole);
    const stop = new AbortController();
    const progress = { start: () => undefined, stop: () => undefined, update: ({ step }: { step: number }): void => { if (step >= 7) stop.abort(); } };
    const options = settings(precision, { steps: 16, optimizer, signal: stop.signal, progress, logEvery: 7 });
    expect((await fit(options)).interrupted).toBe(true);
    const { signal: _, progress: __, ...rest } = options;
    const resumed = await fit({ ...rest, task: regression(), resume: true });
    for (const [name, { data }] of complete.tensors) expect(resumed.tensors.get(name)?.data, name).toEqual(data);
    const read = (out: string): Promise<Buffer> => readFile(path.join(out, "metrics.jsonl"));
    expect((await read(options.out)).equals(await read(whole.out))).toBe(true);
  });
});
