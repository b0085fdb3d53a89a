import { layerNorm, linear, multiheadAttention, INFERENCE } from "@distilldrive/nn";
import { adamw, add, buffer, compile, createStore, type Device, Graph, gradients, mean, parametersOf, type Program, square, sub, type Variable } from "@distilldrive/tensor";
import { type BlockProblem, blockOptimizer, blockParameters } from "../problems/block.js";
import type { Values } from "../problems/problem.js";
import type { Prepared } from "./library.js";

/** A block's training step as one program: forward, backward and AdamW in one submit. */
export interface BlockProgram extends Prepared {
  readonly program: Program;
  /** Bytes on the device: intermediates, variables, inputs, outputs. */
  readonly deviceBytes: number;
}

/** Builds the block from `nn`'s layers and its whole training step into one graph. */
export async function distilldriveBlock(device: Device, problem: BlockProblem, values: Values): Promise<BlockProgram> {
  const { batch, tokens, width, heads, hidden } = problem;
  const model = { norm1: layerNorm(width), attention: multiheadAttention(width, heads), norm2: layerNorm(width), inner: linear(width, hidden), outer: linear(hidden, width) };
  const graph = new Graph();
  const data = (name: string): Variable => buffer([batch, tokens, width], { kind: "data", data: values[name] ?? [] });
  const [xData, targetData] = [data("x"), data("target")];

  const x = graph.variable(xData);
  const first = model.norm1(x);
  const y = add(x, model.attention(first, first, first, null, INFERENCE));
  const out = add(y, model.outer(model.inner(model.norm2(y), "relu")));
  const loss = mean(square(sub(out, graph.variable(targetData))));
  graph.output("loss", loss);

  const parameters = parametersOf(model);
  const moments = new Map<string, Variable>();
  const hyper = graph.input("hyper", [8]);
  const grads = gradients(loss, [...parameters.values()]);
  [...parameters].forEach(([name, parameter], index) => {
    const gradient = grads[index];
    if (!gradient) return;
    const [m, v] = [buffer(parameter.shape), buffer(parameter.shape)];
    moments.set(`m.${name}`, m).set(`v.${name}`, v);
    const next = adamw(graph, parameter, gradient, m, v, hyper);
    graph.assign(parameter, next.parameter);
    graph.assign(m, next.m);
    graph.assign(v, next.v);
  });

  const store = createStore(device, new Map([["x", xData], ["target", targetData], ...parameters, ...moments]), { seed: 1 });
  store.load(new Map(blockParameters(problem).map(({ name, shape }) => [name, { shape, dtype: "f32" as const, data: values[name] ?? new Float32Array(0) }])));
  const program = await compile(device, graph, { store });
  const { learningRate, beta1, beta2, eps, weightDecay } = blockOptimizer;
  let step = 0;
  return {
    program,
    deviceBytes: program.bytes + store.bytes,
    launch: () => {
      step++;
      program.run({ hyper: [learningRate, beta1, beta2, eps, weightDecay, 1 - beta1 ** step, 1 - beta2 ** step, 1] });
    },
    settle: async () => {
      await device.gpu.queue.onSubmittedWorkDone();
    },
    read: async () => {
      const names = [...parameters.keys()].map((name) => `m.${name}`);
      const state = await store.snapshot(names);
      return { loss: Float32Array.from(await program.read("loss")), ...Object.fromEntries([...state].map(([name, { data: moment }]) => [name, Float32Array.from(moment)])) };
    },
    dispose: () => {
      program.destroy();
      store.destroy();
    },
  };
}
