import {
  add, attention, buffer, compile, conv1d, conv2d, createStore, type Device, Graph, gradients, klDivergence, layerNorm, matmul, mul, relu, softmax, sum, type Tensor, type Variable,
} from "@distilldrive/tensor";
import { definitionOf } from "../problems/index.js";
import type { Direction, Problem, Values } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import { DISTILLDRIVE } from "../table.js";
import { distilldriveBlock } from "./distilldrive-block.js";
import type { Library } from "./library.js";

/** Our own tensor core: each row is one compiled program, its data in variables on the device. */
export function distilldriveLibrary(device: Device, version: string): Library {
  return {
    name: DISTILLDRIVE,
    version,
    device,
    prepareBlock: (problem, values) => distilldriveBlock(device, problem, values),
    prepare: async (problem, direction, values) => {
      const graph = new Graph();
      const { variables, names } = traceProblem(graph, problem, direction, values);
      const store = createStore(device, variables, { seed: 1 });
      const program = await compile(device, graph, { store });
      return {
        launch: () => program.run({}),
        settle: async () => {
          await device.gpu.queue.onSubmittedWorkDone();
        },
        read: async () => {
          const results = await program.readAll(names);
          return Object.fromEntries([...results].map(([name, data]) => [name, Float32Array.from(data)]));
        },
        dispose: () => {
          program.destroy();
          store.destroy();
        },
      };
    },
  };
}

/** A problem in a graph: variables for everything it is given, named outputs for its results. */
export function traceProblem(graph: Graph, problem: Problem, direction: Direction, values: Values): { readonly variables: ReadonlyMap<string, Variable>; readonly names: readonly string[] } {
  const { inputs, outShape } = definitionOf(problem);
  const variables = new Map<string, Variable>();
  const lift = (name: string, shape: readonly number[]): Tensor => {
    const variable = buffer(shape, { kind: "data", data: values[name] ?? [] });
    variables.set(name, variable);
    return graph.variable(variable);
  };
  const tensors = new Map(inputs.map(({ name, shape }) => [name, lift(name, shape)]));
  const out = trace(problem, (name) => tensors.get(name) ?? lift(name, []));
  graph.output("out", out);
  if (direction === "forward") return { variables, names: ["out"] };
  const wanted = inputs.filter(({ differentiable }) => differentiable).map(({ name }) => name);
  const loss = sum(mul(out, lift("dout", outShape)));
  const grads = gradients(loss, wanted.flatMap((name) => tensors.get(name) ?? []));
  grads.forEach((grad, index) => graph.output(`d${wanted[index] ?? ""}`, grad));
  return { variables, names: ["out", ...wanted.map((name) => `d${name}`)] };
}

/** The forward pass of a problem as a user of the tensor core writes it. */
function trace(problem: Problem, input: (name: string) => Tensor): Tensor {
  switch (problem.op) {
    case "matmul":
      return matmul(input("a"), input("b"), { transposeA: problem.form === "TN", transposeB: problem.form === "NT" });
    case "attention":
      return attention(input("q"), input("k"), input("v"), { heads: problem.heads });
    case "conv1d":
      return conv1d(input("x"), input("weight"), undefined, { padding: (problem.kernel - 1) / 2 });
    case "conv2d":
      return conv2d(input("x"), input("weight"), undefined, { padding: (problem.kernel - 1) / 2 });
    case "softmax":
      return softmax(input("x"));
    case "layerNorm":
      return layerNorm(input("x"), input("weight"), input("bias"), { eps: layerNormEps });
    case "klDivergence":
      return klDivergence(input("x"), input("target"));
    case "chain":
      return add(relu(add(mul(input("x"), input("scale")), input("shift"))), input("residual"));
  }
}
