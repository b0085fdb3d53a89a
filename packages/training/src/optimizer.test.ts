import {
  compile, createStore, type Device, fanInUniform, interpret, linear, matmul, mean, openDevice, parameter, relu, square, type Store, sub, type Variable,
} from "@distilldrive/tensor";
import { compare, type Tolerance, uniformData } from "@distilldrive/testkit";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadCheckpoint } from "./checkpoint.js";
import { ConfigError } from "./errors.js";
import { fit, type FitOptions, type Task } from "./fit.js";
import { stepScalars, scalarInput } from "./optimizer.js";
import { groupParameters } from "./parameter-groups.js";
import { type OptimizerConfig, optimizerSchema } from "./schedule.js";
import { TOY_SETTINGS } from "./testing/toy-task.js";
import { keyInput, traceTraining } from "./training-graph.js";
import { rowInput } from "./metrics-log.js";

/** A regression of three layers; the batch of a step is `parts` times `rows` rows, whatever it is cut into. */
function regression(rows: number): Task {
  const layer = (inputs: number, outputs: number): { weight: Variable; bias: Variable } => ({ weight: parameter([outputs, inputs], fanInUniform(inputs)), bias: parameter([outputs], fanInUniform(inputs)) });
  const model = { one: layer(8, 16), two: layer(16, 16), out: layer(16, 3) };
  let position = 0;
  return {
    name: "regression",
    model: { model },
    batches: {
      next: () => {
        // The same stream of rows whatever number of them a batch takes.
        const x = Float32Array.from({ length: 8 * rows }, (_, i) => Math.sin((8 * rows * position + i + 1) ** 2 * 0.37));
        const y = Float32Array.from({ length: 3 * rows }, (_, i) => (x[8 * Math.floor(i / 3) + (i % 3)] ?? 0) ** 2);
        position++;
        return { inputs: { x, y }, samples: rows };
      },
      state: () => position,
      restore: (state) => {
        position = Number(state);
      },
    },
    trace: (graph) => {
      const hidden = relu(linear(graph.input("x", [rows, 8]), model.one.weight, model.one.bias));
      const deeper = relu(linear(hidden, model.two.weight, model.two.bias));
      return { loss: mean(square(sub(linear(deeper, model.out.weight, model.out.bias), graph.input("y", [rows, 3])))), terms: {} };
    },
  };
}

/** min over W of mean |A W B - Y|^2 with curvatures that differ ten thousandfold, along directions that are no axes. */
function illConditioned(size: number): Task {
  const weight = parameter([size, size], { kind: "constant", value: 0 });
  const mix = (seed: number): Float32Array => {
    const [left, right] = [uniformData(size * size, seed), uniformData(size * size, seed + 1)];
    return Float32Array.from({ length: size * size }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += (left[Math.floor(at / size) * size + k] ?? 0) * 10 ** ((-2 * k) / (size - 1)) * (right[k * size + (at % size)] ?? 0);
      return sum;
    });
  };
  return {
    name: "ill-conditioned",
    model: { weight },
    batches: { next: () => ({ inputs: {}, samples: 1 }), state: () => null, restore: () => undefined },
    trace: (graph) => {
      const [a, b, truth] = [1, 5, 9].map((seed) => graph.constant(mix(seed), [size, size]));
      if (!a || !b || !truth) throw new RangeError("three matrices");
      const product = (w: typeof a): typeof a => matmul(matmul(a, w), b);
      return { loss: mean(square(sub(product(graph.variable(weight)), product(truth)))), terms: {} };
    },
  };
}

/** Where a gradient has no component, Adam divides rounding by its own size: this eps keeps that from being compared. */
const noiseFloor = 1e-3;
const rounding: Tolerance = { name: "f32 over a few steps", absolute: 2e-4, relative: 2e-4 };

describe("optimisers [gpu]", () => {
  let device: Device;
  let scratch: string;
  beforeAll(async () => {
    device = await openDevice();
    scratch = await mkdtemp(path.join(tmpdir(), "distilldrive-optimizer-"));
  });
  afterAll(async () => {
    device.close();
    await rm(scratch, { recursive: true, force: true });
  });
  let runs = 0;
  const settings = (optimizer: Record<string, unknown>, more: Partial<FitOptions> = {}): FitOptions => ({
    ...TOY_SETTINGS, device, task: regression(8), out: path.join(scratch, `run-${runs++}`), resume: false, checkpointEvery: 1000,
    optimizer: optimizerSchema.parse({ warmupSteps: 2, learningRate: 0.01, ...optimizer }), ...more,
  });
  const weights = async (options: FitOptions): Promise<Map<string, ArrayLike<number>>> => new Map([...(await fit(options)).tensors].map(([name, { data }]) => [name, data]));
  const expectSame = (actual: ReadonlyMap<string, ArrayLike<number>>, expected: ReadonlyMap<string, ArrayLike<number>>, tolerance: Tolerance): void => {
    for (const [name, values] of expected) compare(actual.get(name) ?? [], Float64Array.from(values), tolerance, { op: name });
  };

  test.each([["adamw", {}], ["soap", { preconditionFrequency: 2 }], ["soap", { preconditionFrequency: 2, maxPreconditionDim: 8 }]] as const)("%s %j: the device's steps are the float64 reference's, refreshes too", async (kind, soap) => {
    const config = optimizerSchema.parse({ kind, soap, learningRate: 0.01, warmupSteps: 0, beta1: 0.9, beta2: 0.95, eps: noiseFloor });
    const task = regression(8);
    const training = traceTraining(task, config, 4);
    const store = createStore(device, training.variables, { seed: 3, packs: training.packs });
    const program = await compile(device, training.graph, { store });
    const refresh = training.refresh && (await compile(device, training.refresh, { store }));
    const values = async (own: Store): Promise<Map<Variable, ArrayLike<number>>> => {
      const snapshot = await own.snapshot();
      return new Map([...training.variables].map(([name, variable]) => [variable, snapshot.get(name)?.data ?? []]));
    };
    for (let step = 0; step < 6; step++) {
      const { inputs: batch } = await task.batches.next();
      const inputs = { ...batch, [keyInput]: [0, 0, 0, 0], [scalarInput]: stepScalars(config, step, 10), [rowInput]: [step % 4] };
      // Each step begins at the device's own values, so that rounding does not add up.
      const expected = interpret(training.graph, { inputs, variables: await values(store) });
      program.run(inputs);
      await expectAssigned(store, expected.assigned, training.variables, rounding);
      if (!training.refresh || !refresh || step % 2 > 0) continue;
      const turned = interpret(training.refresh, { variables: await values(store) });
      refresh.run({});
      await expectAssigned(store, turned.assigned, training.variables, { name: "QR of a near-singular matrix", absolute: 5e-3, relative: 5e-3 }, /optimizer\.v/);
    }
    program.destroy();
    refresh?.destroy();
    store.destroy();
  });

  test("SOAP's bases are orthogonal and come to diagonalise the statistics", async () => {
    const options = settings({ kind: "soap", beta1: 0.95, beta2: 0.95, soap: { preconditionFrequency: 1 } }, { steps: 60 });
    await fit(options);
    const { tensors } = await loadCheckpoint(options.out);
    const get = (name: string): ArrayLike<number> => tensors.get(name)?.data ?? [];
    for (const side of ["left", "right"]) {
      const [statistics, basis] = [get(`optimizer.${side}.model.two.weight`), get(`optimizer.${side}Basis.model.two.weight`)];
      const product = (i: number, j: number, metric: boolean): number => {
        let sum = 0;
        for (let a = 0; a < 16; a++) for (let b = 0; b < 16; b++) sum += (basis[16 * a + i] ?? 0) * (metric ? (statistics[16 * a + b] ?? 0) : a === b ? 1 : 0) * (basis[16 * b + j] ?? 0);
        return sum;
      };
      let [trace, off] = [0, 0];
      for (let i = 0; i < 16; i++) {
        trace += product(i, i, true);
        for (let j = 0; j < 16; j++) {
          expect(product(i, j, false)).toBeCloseTo(i === j ? 1 : 0, 5);
          if (i !== j) off = Math.max(off, Math.abs(product(i, j, true)));
        }
      }
      expect(off).toBeLessThan(0.02 * trace);
    }
  });

  test("SOAP minimises an ill-conditioned problem faster than AdamW", async () => {
    const finalLoss = async (kind: string): Promise<number> => {
      let loss = Number.NaN;
      const progress = { start: () => undefined, stop: () => undefined, update: (state: { loss: number }): void => { loss = state.loss; } };
      await fit(settings({ kind, weightDecay: 0, learningRate: 0.03, beta1: 0.9, beta2: 0.95 }, { task: illConditioned(16), steps: 250, logEvery: 50, progress }));
      return loss;
    };
    const [adamw, soap] = [await finalLoss("adamw"), await finalLoss("soap")];
    expect(soap).toBeLessThan(adamw / 5);
  });

  test("several batches accumulated make the step of one large batch", async () => {
    for (const kind of ["adamw", "soap"]) {
      // Longer sides see gradients without full rank, whose eigenvectors are a matter of rounding.
      const soap = { maxPreconditionDim: 8 };
      const whole = await weights(settings({ kind, soap, clipNorm: 0.5, eps: noiseFloor }, { task: regression(32), steps: 6 }));
      const parts = await weights(settings({ kind, soap, clipNorm: 0.5, eps: noiseFloor, accumulate: 4 }, { task: regression(8), steps: 6 }));
      expectSame(parts, whole, rounding);
    }
  });

  test("groups have their own learning rate and decay, and frozen parameters stay", async () => {
    const [start, moved] = [await weights(settings({}, { steps: 1, task: regression(8) })), await weights(settings({ groups: [{ match: "one.*", frozen: true }, { match: "*.bias", learningRateFactor: 0 }] }, { steps: 9 }))];
    const initial = await weights(settings({ learningRate: 1e-30 }, { steps: 1 }));
    for (const name of ["model.one.weight", "model.one.bias", "model.two.bias"]) expect(moved.get(name)).toEqual(initial.get(name));
    expect(moved.get("model.two.weight")).not.toEqual(initial.get("model.two.weight"));
    expect(start.get("model.one.weight")).not.toEqual(initial.get("model.one.weight"));
  });

  test("the moving average follows the parameters", async () => {
    const [plain, average, slow] = [await weights(settings({}, { steps: 12 })), await weights(settings({ emaDecay: 0.5 }, { steps: 12 })), await weights(settings({ emaDecay: 0.999999 }, { steps: 12 }))];
    const initial = await weights(settings({ learningRate: 1e-30 }, { steps: 1 }));
    const distance = (a: ReadonlyMap<string, ArrayLike<number>>, b: ReadonlyMap<string, ArrayLike<number>>): number =>
      [...a].reduce((sum, [name, values]) => sum + Array.from(values).reduce((own, value, i) => own + (value - (b.get(name)?.[i] ?? 0)) ** 2, 0), 0);
    expect(distance(average, plain)).toBeGreaterThan(0);
    expect(distance(average, plain)).toBeLessThan(distance(initial, plain) / 4);
    // Early steps have a short memory, whatever the decay.
    expect(distance(slow, plain)).toBeGreaterThan(distance(average, plain));
    expect(distance(slow, plain)).toBeLessThan(distance(initial, plain) / 2);
    const decays = [0, 8, 100_000].map((step) => stepScalars(optimizerSchema.parse({ emaDecay: 0.99 }), step, 200_000)[4]);
    expect(decays).toEqual([0.1, 0.5, 0.99].map(Math.fround));
  });

  test("every kind of state survives an interruption to the bit", async () => {
    const rich = { kind: "soap", accumulate: 2, emaDecay: 0.9, soap: { preconditionFrequency: 3, maxPreconditionDim: 16 }, groups: [{ match: "out.*", learningRateFactor: 0.1, weightDecay: 0.2 }] };
    const whole = await weights(settings(rich, { steps: 14 }));
    const stop = new AbortController();
    const progress = { start: () => undefined, stop: () => undefined, update: ({ step }: { step: number }): void => { if (step >= 6) stop.abort(); } };
    const options = settings(rich, { steps: 14, signal: stop.signal, progress });
    expect((await fit(options)).interrupted).toBe(true);
    const { signal: _, progress: __, ...resumed } = options;
    expectSame(await weights({ ...resumed, task: regression(8), resume: true }), whole, { name: "bits", absolute: 0, relative: 0 });
    await expect(fit({ ...resumed, resume: true, optimizer: optimizerSchema.parse({}) })).rejects.toThrow(/does not fit these settings/);
  });
});

/** The store holds what was assigned, packed variables part by part. */
async function expectAssigned(store: Store, assigned: ReadonlyMap<Variable, Float64Array>, variables: ReadonlyMap<string, Variable>, tolerance: Tolerance, only = /./): Promise<void> {
  const snapshot = await store.snapshot();
  const nameOf = new Map([...variables].map(([name, variable]) => [variable, name]));
  for (const [variable, values] of assigned) {
    let offset = 0;
    for (const part of variable.parts.length > 0 ? variable.parts : [variable]) {
      const name = nameOf.get(part) ?? "";
      const data = snapshot.get(name)?.data ?? [];
      if (only.test(name)) compare(data, values.slice(offset, offset + data.length), tolerance, { op: name });
      offset += Math.ceil(data.length / 64) * 64;
    }
  }
}

describe("groupParameters", () => {
  const parameters = new Map([["model.a.weight", parameter([2, 2], { kind: "constant", value: 0 })], ["model.a.bias", parameter([2], { kind: "constant", value: 0 })]]);
  const group = (groups: OptimizerConfig["groups"]): ReturnType<typeof groupParameters> => groupParameters(parameters, { ...optimizerSchema.parse({}), groups });

  test("gives weight decay to matrices only unless a group says otherwise; the first pattern wins", () => {
    expect(group([]).map(({ weightDecay }) => weightDecay)).toEqual([0.05, 0]);
    expect(group([{ match: "a.*", weightDecay: 0.3, learningRateFactor: 0.5, frozen: false }])).toMatchObject([{ weightDecay: 0.3, learningRateFactor: 0.5 }]);
    expect(group([{ match: "model.a.bias", frozen: true, learningRateFactor: 1 }, { match: "*", learningRateFactor: 2, frozen: false }]).map(({ parameters: own }) => [...own.keys()])).toEqual([["model.a.weight"]]);
  });

  test("refuses patterns without a parameter, and to train nothing", () => {
    expect(() => group([{ match: "a.wieght", learningRateFactor: 1, frozen: false }])).toThrow(ConfigError);
    expect(() => group([{ match: "a.wieght", learningRateFactor: 1, frozen: false }])).toThrow(/nothing is named like "a\.wieght".*"model\.a\.weight"/);
    expect(() => group([{ match: "*", learningRateFactor: 1, frozen: true }])).toThrow(/every parameter is frozen/);
  });
});
