import { buffer, dropout, fanInUniform, type Graph, linear, mean, parameter, relu, square, sub, type Tensor, add, mul } from "@distilldrive/tensor";
import type { BatchSource, FitOptions, Task } from "../fit.js";
import { optimizerSchema } from "../schedule.js";

/** Settings of every run of the toy, so that a child process trains what its parent compares with. */
export const TOY_SETTINGS = {
  steps: 20,
  seed: 7,
  optimizer: optimizerSchema.parse({ warmupSteps: 2 }),
  checkpointEvery: 5,
  keep: 2,
  logEvery: 3,
  run: {},
} as const satisfies Partial<FitOptions>;

/** A small regression with dropout and a running statistic, whose batches depend on a counter alone. */
export function toyTask(options: { readonly poisonAt?: number } = {}): Task {
  const layer = (inputs: number, outputs: number): { weight: ReturnType<typeof parameter>; bias: ReturnType<typeof parameter> } => ({
    weight: parameter([outputs, inputs], fanInUniform(inputs)),
    bias: parameter([outputs], fanInUniform(inputs)),
  });
  const model = { hidden: layer(4, 16), out: layer(16, 1), running: buffer([16]) };
  return {
    name: "toy",
    model,
    batches: toyBatches(options.poisonAt ?? -1),
    trace: (graph: Graph, key: Tensor) => {
      const x = graph.input("x", [8, 4]);
      const y = graph.input("y", [8, 1]);
      const hidden = dropout(relu(linear(x, model.hidden.weight, model.hidden.bias)), 0.1, key);
      graph.assign(model.running, add(mul(graph.variable(model.running), 0.9), mul(mean(hidden, { axes: [0] }), 0.1)));
      const loss = mean(square(sub(linear(hidden, model.out.weight, model.out.bias), y)));
      return { loss, terms: { regression: loss } };
    },
  };
}

function toyBatches(poisonAt: number): BatchSource {
  let position = 0;
  return {
    next: () => {
      const x = Float32Array.from({ length: 32 }, (_, i) => Math.sin(0.7 * (32 * position + i)));
      const y = Float32Array.from({ length: 8 }, (_, i) => (x[4 * i] ?? 0) - 0.5 * (x[4 * i + 1] ?? 0));
      if (position === poisonAt) x[5] = 3e38;
      position++;
      return { inputs: { x, y }, samples: 8 };
    },
    state: () => position,
    restore: (state) => {
      position = Number(state);
    },
  };
}
