import type * as Core from "@tensorflow/tfjs-core";
import { type BlockProblem, blockInputs, blockOptimizer, blockParameters } from "../problems/block.js";
import type { Values } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import type { Prepared } from "./library.js";

type Tf = typeof Core;

/**
 * A block's training step in tfjs: `variableGrads` and the library's own Adam, whose missing weight decay is one more
 * operation per parameter.
 */
export function tfjsBlock(tf: Tf, problem: BlockProblem, values: Values, settle: () => Promise<void>): Prepared {
  const { batch, tokens, width, heads } = problem;
  const { learningRate, beta1, beta2, eps, weightDecay } = blockOptimizer;
  const given = (name: string): Float32Array => values[name] ?? new Float32Array(0);
  const parameters = new Map(blockParameters(problem).map(({ name, shape }) => [name, tf.variable(tf.tensor(given(name), [...shape]), true, `block/${name}`)]));
  const variable = (name: string): Core.Variable => {
    const found = parameters.get(name);
    if (found === undefined) throw new Error(`tfjs: the block has no parameter ${name}.`);
    return found;
  };
  const [x, target] = blockInputs(problem).slice(0, 2).map(({ name, shape }) => tf.tensor(given(name), [...shape])) as [Core.Tensor, Core.Tensor];
  const optimizer = tf.train.adam(learningRate, beta1, beta2, eps);

  const norm = (input: Core.Tensor, name: string): Core.Tensor => {
    const { mean, variance } = tf.moments(input, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(input, mean), tf.rsqrt(tf.add(variance, layerNormEps))), variable(`${name}.weight`)), variable(`${name}.bias`));
  };
  // Rows of all samples at once: one matrix product per layer.
  const linear = (rows: Core.Tensor, weight: string, bias: string): Core.Tensor => tf.add(tf.matMul(rows, variable(weight), false, true), variable(bias));
  const heading = (rows: Core.Tensor): Core.Tensor => tf.transpose(tf.reshape(rows, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
  const lossOf = (): Core.Scalar => {
    const rows = tf.reshape(x, [batch * tokens, width]);
    const projected = linear(norm(rows, "norm1"), "attention.in_proj_weight", "attention.in_proj_bias");
    const [q, k, v] = tf.split(projected, 3, 1).map(heading) as [Core.Tensor, Core.Tensor, Core.Tensor];
    const weights = tf.softmax(tf.matMul(tf.mul(q, 1 / Math.sqrt(width / heads)), k, false, true));
    const gathered = tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [batch * tokens, width]);
    const y = tf.add(rows, linear(gathered, "attention.out_proj.weight", "attention.out_proj.bias"));
    const out = tf.add(y, linear(tf.relu(linear(norm(y, "norm2"), "inner.weight", "inner.bias")), "outer.weight", "outer.bias"));
    return tf.mean(tf.squaredDifference(out, tf.reshape(target, [batch * tokens, width])));
  };

  let loss: Core.Scalar | undefined;
  return {
    launch: () => {
      loss?.dispose();
      loss = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(lossOf, [...parameters.values()]);
        for (const parameter of parameters.values()) parameter.assign(tf.mul(parameter, 1 - learningRate * weightDecay));
        optimizer.applyGradients(grads as Parameters<typeof optimizer.applyGradients>[0]);
        return value;
      });
    },
    settle,
    read: async () => {
      const result: Record<string, Float32Array> = { loss: Float32Array.from((await loss?.data()) ?? []) };
      for (const { name, tensor } of await optimizer.getWeights()) {
        const parameter = /^block\/(.*)\/m$/.exec(name)?.[1];
        if (parameter !== undefined) result[`m.${parameter}`] = Float32Array.from(await tensor.data());
      }
      return result;
    },
    dispose: () => {
      optimizer.dispose();
      for (const tensor of [x, target, ...parameters.values(), ...(loss ? [loss] : [])]) tensor.dispose();
    },
  };
}
