import type * as Core from "@tensorflow/tfjs-core";
import { definitionOf } from "../problems/index.js";
import type { Problem } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import { importPeer } from "./import-peer.js";
import { fromLibrary, type Layouts, toLibrary } from "./layout.js";
import type { Library } from "./library.js";
import { tfjsBlock } from "./tfjs-block.js";

type Tf = typeof Core;

/** The part of tfjs's WebGPU backend that submits what it has recorded. */
interface RecordingBackend {
  readonly device: GPUDevice;
  /** Null when everything recorded is submitted. */
  readonly commandEncoder: GPUCommandEncoder | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** A problem as a user of tfjs writes it. */
interface Expression {
  /** Axis orders where tfjs has a layout of its own. */
  readonly layouts: Layouts;
  apply(inputs: Readonly<Record<string, Core.Tensor>>): Core.Tensor;
}

/** TensorFlow.js on its WebGPU backend; `navigator.gpu` must be in place. */
export async function tfjsLibrary(version: string): Promise<Library> {
  const tf = await importPeer("tfjs", "@tensorflow/tfjs-core", () => import("@tensorflow/tfjs-core"));
  await importPeer("tfjs", "@tensorflow/tfjs-backend-webgpu", () => import("@tensorflow/tfjs-backend-webgpu"));
  // Core's bundle for Node registers no gradients; the layers package brings them along.
  await importPeer("tfjs", "@tensorflow/tfjs-layers", () => import("@tensorflow/tfjs-layers"));
  await tf.setBackend("webgpu");
  await tf.ready();
  const backend = tf.backend() as unknown as RecordingBackend;
  const settle = async (): Promise<void> => {
    // Work is recorded until something is read; submit it without a read.
    backend.endComputePassEncoder();
    if (backend.commandEncoder !== null) backend.submitQueue();
    await backend.device.queue.onSubmittedWorkDone();
  };
  return {
    name: "tfjs",
    version,
    prepareBlock: (problem, values) => Promise.resolve(tfjsBlock(tf, problem, values, settle)),
    prepare: async (problem, direction, values) => {
      const expression = expressionOf(tf, problem);
      const { inputs, outShape } = definitionOf(problem);
      const load = (name: string, shape: readonly number[]): Core.Tensor => {
        const placed = toLibrary(name, values[name] ?? new Float32Array(0), shape, expression.layouts);
        return tf.tensor(placed.data, placed.shape);
      };
      const constants = inputs.filter(({ differentiable }) => !differentiable).map(({ name, shape }) => [name, load(name, shape)] as const);
      const wanted = inputs.filter(({ differentiable }) => differentiable);
      const args = wanted.map(({ name, shape }) => load(name, shape));
      const dout = load("dout", outShape);
      const forward = (...tensors: Core.Tensor[]): Core.Tensor => expression.apply({ ...Object.fromEntries(constants), ...Object.fromEntries(wanted.map(({ name }, index) => [name, tensors[index] ?? dout])) });
      const withGradients = (): Core.Tensor[] => {
        let out: Core.Tensor | undefined;
        const gradients = tf.grads((...tensors: Core.Tensor[]) => tf.keep((out = forward(...tensors))))(args, dout);
        return out === undefined ? gradients : [out, ...gradients];
      };
      const names = ["out", ...(direction === "forward" ? [] : wanted.map(({ name }) => `d${name}`))];
      const shapes = [outShape, ...wanted.map(({ shape }) => shape)];
      let results: Core.Tensor[] = [];
      return Promise.resolve({
        launch: () => {
          for (const result of results) result.dispose();
          results = tf.tidy(() => (direction === "forward" ? [forward(...args)] : withGradients()));
        },
        settle,
        read: async () => {
          const read = names.map(async (name, index) => {
            const data = Float32Array.from((await results[index]?.data()) ?? []);
            const own = name === "out" ? name : name.slice(1);
            return [name, fromLibrary(own, data, shapes[index] ?? [], expression.layouts)] as const;
          });
          return Object.fromEntries(await Promise.all(read));
        },
        dispose: () => {
          for (const tensor of [...results, ...args, dout, ...constants.map(([, tensor]) => tensor)]) tensor.dispose();
        },
      });
    },
  };
}

function expressionOf(tf: Tf, problem: Problem): Expression {
  const plain = (apply: Expression["apply"]): Expression => ({ layouts: {}, apply });
  switch (problem.op) {
    case "matmul":
      return plain(({ a, b }) => tf.matMul(given(a), given(b), problem.form === "TN", problem.form === "NT"));
    case "attention":
      return plain(({ q, k, v }) => {
        const { batch, queries, heads, dim } = problem;
        const split = (x: Core.Tensor | undefined): Core.Tensor => tf.transpose(tf.reshape(given(x), [batch, -1, heads, dim]), [0, 2, 1, 3]);
        const scores = tf.matMul(tf.mul(split(q), 1 / Math.sqrt(dim)), split(k), false, true);
        const gathered = tf.matMul(tf.softmax(scores), split(v));
        return tf.reshape(tf.transpose(gathered, [0, 2, 1, 3]), [batch, queries, heads * dim]);
      });
    case "conv1d":
      // tfjs has channels-last one-dimensional convolutions only.
      return {
        layouts: { x: [0, 2, 1], weight: [2, 1, 0], out: [0, 2, 1] },
        apply: ({ x, weight }) => tf.conv1d(given(x) as Core.Tensor3D, given(weight) as Core.Tensor3D, 1, "same"),
      };
    case "conv2d":
      return { layouts: { weight: [1, 2, 3, 0] }, apply: ({ x, weight }) => tf.conv2d(given(x) as Core.Tensor4D, given(weight) as Core.Tensor4D, 1, "same") };
    case "softmax":
      return plain(({ x }) => tf.softmax(given(x)));
    case "layerNorm":
      return plain(({ x, weight, bias }) => {
        const { mean, variance } = tf.moments(given(x), -1, true);
        return tf.add(tf.mul(tf.mul(tf.sub(given(x), mean), tf.rsqrt(tf.add(variance, layerNormEps))), given(weight)), given(bias));
      });
    case "klDivergence":
      return plain(({ x, target }) => tf.sum(tf.mul(given(target), tf.sub(tf.log(given(target)), tf.logSoftmax(given(x)))), -1));
    case "chain":
      return plain(({ x, scale, shift, residual }) => tf.add(tf.relu(tf.add(tf.mul(given(x), given(scale)), given(shift))), given(residual)));
  }
}

function given(tensor: Core.Tensor | undefined): Core.Tensor {
  if (tensor === undefined) throw new Error("tfjs: an input is missing.");
  return tensor;
}
