import type * as Jax from "@jax-js/jax";
import { definitionOf } from "../problems/index.js";
import type { Problem } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import { importPeer } from "./import-peer.js";
import { fromLibrary, type Layouts, toLibrary } from "./layout.js";
import { jaxBlock } from "./jax-js-block.js";
import type { Library } from "./library.js";

type JaxModule = typeof Jax;
type JaxArray = Jax.Array;

/** A problem as a user of jax-js writes it. Arrays are consumed by use; `.ref` keeps one. */
interface Expression {
  readonly layouts: Layouts;
  apply(inputs: readonly JaxArray[]): JaxArray;
}

/**
 * jax-js on its WebGPU or WebAssembly backend; for WebGPU `navigator.gpu` must be in place.
 * @param gpu the device whose queue is waited for; none for WebAssembly
 */
export async function jaxLibrary(backend: "webgpu" | "wasm", version: string, gpu: GPUDevice | undefined): Promise<Library> {
  const name = backend === "webgpu" ? "jax-js" : "jax-js-wasm";
  supplyIteratorHelpers();
  const jax = await importPeer(name, "@jax-js/jax", () => import("@jax-js/jax"));
  await jax.init(backend);
  jax.defaultDevice(backend);
  return {
    name,
    version,
    ...(backend === "wasm" ? { remark: "one thread of the CPU; its further threads are web Workers, which Node does not have." } : {}),
    prepareBlock: (problem, values) => jaxBlock(jax, problem, values, gpu?.queue),
    prepare: async (problem, direction, values) => {
      const expression = expressionOf(jax, problem);
      const { inputs, outShape } = definitionOf(problem);
      const load = async (tensor: string, shape: readonly number[]): Promise<JaxArray> => {
        const placed = toLibrary(tensor, values[tensor] ?? new Float32Array(0), shape, expression.layouts);
        return jax.blockUntilReady(jax.numpy.array(placed.data).reshape(placed.shape));
      };
      // Differentiable inputs come first in every definition.
      const wanted = inputs.filter(({ differentiable }) => differentiable);
      const args = await Promise.all([...inputs.map(({ name: tensor, shape }) => load(tensor, shape)), ...(direction === "forward" ? [] : [load("dout", outShape)])]);
      const run = jax.jit((...given: JaxArray[]): JaxArray[] => {
        if (direction === "forward") return [expression.apply(given)];
        const variables = given.slice(0, wanted.length);
        const constants = given.slice(wanted.length, inputs.length);
        const [out, pullback] = jax.vjp((...own: JaxArray[]) => expression.apply([...own, ...constants.map((constant) => constant.ref)]), variables);
        const gradients = pullback(given[inputs.length] ?? out.ref);
        return [out, ...gradients];
      });
      const names = ["out", ...(direction === "forward" ? [] : wanted.map(({ name: tensor }) => `d${tensor}`))];
      const shapes = [outShape, ...wanted.map(({ shape }) => shape)];
      // Work whose results nobody holds any more is not started, so results are held until they are there.
      let launched: JaxArray[][] = [];
      const release = (results: readonly JaxArray[]): void => {
        for (const result of results) result.dispose();
      };
      return {
        launch: () => {
          launched.push(run(...args.map((arg) => arg.ref)));
        },
        settle: async () => {
          await jax.blockUntilReady(launched);
          await gpu?.queue.onSubmittedWorkDone();
          for (const results of launched.slice(0, -1)) release(results);
          launched = launched.slice(-1);
        },
        read: async () => {
          const read = names.map(async (result, index) => {
            const data: unknown = await launched.at(-1)?.[index]?.ref.data();
            return [result, fromLibrary(result === "out" ? result : result.slice(1), Float32Array.from((data as Float32Array | undefined) ?? []), shapes[index] ?? [], expression.layouts)] as const;
          });
          return Object.fromEntries(await Promise.all(read));
        },
        dispose: () => {
          launched.forEach(release);
          release(args);
          run.dispose();
        },
      };
    },
  };
}

/** jax-js maps and filters iterators, which Node does by itself from version 22 on. */
function supplyIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object;
  if ("map" in prototype) return;
  const helpers = {
    *map<From, To>(this: Iterable<From>, change: (value: From, index: number) => To): Generator<To> {
      let index = 0;
      for (const value of this) yield change(value, index++);
    },
    *filter<Value>(this: Iterable<Value>, keep: (value: Value, index: number) => boolean): Generator<Value> {
      let index = 0;
      for (const value of this) if (keep(value, index++)) yield value;
    },
  };
  for (const [name, value] of Object.entries(helpers)) Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
}

function expressionOf(jax: JaxModule, problem: Problem): Expression {
  const { numpy: np, nn, lax } = jax;
  const plain = (apply: Expression["apply"]): Expression => ({ layouts: {}, apply });
  switch (problem.op) {
    case "matmul":
      return plain((inputs) => {
        const [a, b] = pair(inputs);
        return np.matmul(problem.form === "TN" ? np.matrixTranspose(a) : a, problem.form === "NT" ? np.matrixTranspose(b) : b);
      });
    case "attention":
      return plain((inputs) => {
        const { batch, queries, keys, heads, dim } = problem;
        const [q, k, v] = pair(inputs);
        const split = (x: JaxArray, length: number): JaxArray => x.reshape([batch, length, heads, dim]);
        return nn.dotProductAttention(split(q, queries), split(k, keys), split(v, keys)).reshape([batch, queries, heads * dim]);
      });
    case "conv1d":
      return plain((inputs) => lax.convGeneralDilated(...two(inputs), [1], "SAME"));
    case "conv2d":
      // Channels first, as the library's convolution wants them.
      return { layouts: { x: [0, 3, 1, 2], weight: [0, 3, 1, 2], out: [0, 3, 1, 2] }, apply: (inputs) => lax.convGeneralDilated(...two(inputs), [1, 1], "SAME") };
    case "softmax":
      return plain((inputs) => nn.softmax(pair(inputs)[0]));
    case "layerNorm":
      return plain((inputs) => {
        const [x, weight, bias] = pair(inputs);
        return nn.standardize(x, -1, { epsilon: layerNormEps }).mul(weight).add(bias);
      });
    case "klDivergence":
      return plain((inputs) => {
        const [x, target] = pair(inputs);
        return np.sum(target.ref.mul(np.log(target).sub(nn.logSoftmax(x))), -1);
      });
    case "chain":
      return plain((inputs) => {
        const [x, scale, shift, residual = x] = inputs;
        return nn.relu(pair([x, scale])[0].mul(pair([scale])[0]).add(pair([shift])[0])).add(pair([residual])[0]);
      });
  }
}

/** Up to three arrays that are known to be there. */
function pair(inputs: readonly (JaxArray | undefined)[]): [JaxArray, JaxArray, JaxArray] {
  const [a, b, c] = inputs;
  if (a === undefined) throw new Error("jax-js: an input is missing.");
  return [a, b ?? a, c ?? a];
}

function two(inputs: readonly JaxArray[]): [JaxArray, JaxArray] {
  const [a, b] = pair(inputs);
  return [a, b];
}
