import { gradients } from "../autodiff.js";
import { Graph, type Tensor } from "../graph.js";
import { adamw } from "../ops/adamw.js";
import { attention } from "../ops/attention.js";
import { add, relu, square, sub } from "../ops/elementwise.js";
import { layerNorm } from "../ops/layer-norm.js";
import { linear } from "../ops/matmul.js";
import { mean } from "../ops/reduce.js";
import { buffer, fanInUniform, type NamedVariables, parameter, type Variable, variablesOf } from "../variable.js";

/** Sizes of a {@link blockStep}. */
export interface BlockSizes {
  readonly batch: number;
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
}

/** The block that the benchmark trains. */
export const benchmarkBlock: BlockSizes = { batch: 8, tokens: 168, width: 256, heads: 8, hidden: 512 };

/** A training step of a pre-norm transformer block: forward, backward, AdamW; written op by op, as a user would. */
export function blockStep({ batch, tokens, width, heads, hidden }: BlockSizes): { readonly graph: Graph; readonly variables: NamedVariables } {
  const dense = (inputs: number, outputs: number): { weight: Variable; bias: Variable } => ({ weight: parameter([outputs, inputs], fanInUniform(inputs)), bias: parameter([outputs], fanInUniform(inputs)) });
  const norm = (): { weight: Variable; bias: Variable } => ({ weight: parameter([width], { kind: "constant", value: 1 }), bias: parameter([width], { kind: "constant", value: 0 }) });
  const model = { norm1: norm(), q: dense(width, width), k: dense(width, width), v: dense(width, width), o: dense(width, width), norm2: norm(), inner: dense(width, hidden), outer: dense(hidden, width) };
  const graph = new Graph();
  const project = (x: Tensor, { weight, bias }: { weight: Variable; bias: Variable }): Tensor => add(linear(x, weight), bias);
  const x = graph.input("x", [batch, tokens, width]);
  const first = layerNorm(x, model.norm1.weight, model.norm1.bias);
  const attended = attention(project(first, model.q), project(first, model.k), project(first, model.v), { heads });
  const y = add(x, project(attended, model.o));
  const out = add(y, project(relu(project(layerNorm(y, model.norm2.weight, model.norm2.bias), model.inner)), model.outer));
  const loss = mean(square(sub(out, graph.input("target", [batch, tokens, width]))));
  graph.output("loss", loss);
  const parameters = [...variablesOf(model)];
  const moments: Record<string, Variable> = {};
  const hyper = graph.input("hyper", [8]);
  gradients(loss, parameters.map(([, variable]) => variable)).forEach((gradient, i) => {
    const [name, variable] = parameters[i] ?? [];
    if (name === undefined || !variable) return;
    const [m, v] = [buffer(variable.shape), buffer(variable.shape)];
    moments[`m ${name}`] = m;
    moments[`v ${name}`] = v;
    const next = adamw(graph, variable, gradient, m, v, hyper);
    graph.assign(variable, next.parameter);
    graph.assign(m, next.m);
    graph.assign(v, next.v);
  });
  return { graph, variables: variablesOf({ model, moments }) };
}

/** Inputs of a {@link blockStep}. @param step 0-based */
export function blockInputs({ batch, tokens, width }: BlockSizes, step: number): Record<string, Float32Array> {
  const wave = (seed: number): Float32Array => Float32Array.from({ length: batch * tokens * width }, (_, i) => Math.sin(seed + i * 0.37));
  return { x: wave(1), target: wave(2), hyper: Float32Array.of(1e-3, 0.9, 0.999, 1e-8, 0.01, 1 - 0.9 ** (step + 1), 1 - 0.999 ** (step + 1), 1) };
}
