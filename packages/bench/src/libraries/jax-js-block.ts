import type * as Jax from "@jax-js/jax";
import { type BlockProblem, blockInputs, blockOptimizer, blockParameters } from "../problems/block.js";
import type { Values } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import type { Prepared } from "./library.js";

type JaxModule = typeof Jax;
type JaxArray = Jax.Array;

/** A block's training step in jax-js: value, gradients and AdamW in one jitted function; the new state takes the place of the old. */
export async function jaxBlock(jax: JaxModule, problem: BlockProblem, values: Values, queue: GPUQueue | undefined): Promise<Prepared> {
  const { numpy: np, nn } = jax;
  const { batch, tokens, width, heads } = problem;
  const { learningRate, beta1, beta2, eps, weightDecay } = blockOptimizer;
  const specs = blockParameters(problem);
  const load = async (data: Float32Array, shape: readonly number[]): Promise<JaxArray> => jax.blockUntilReady(np.array(data).reshape([...shape]));
  const given = (name: string): Float32Array => values[name] ?? new Float32Array(0);
  const [x, target] = (await Promise.all(blockInputs(problem).slice(0, 2).map(({ name, shape }) => load(given(name), shape)))) as [JaxArray, JaxArray];
  const zeros = (shape: readonly number[]): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = await Promise.all([...specs.map(({ name, shape }) => load(given(name), shape)), ...specs.map(({ shape }) => load(zeros(shape), shape)), ...specs.map(({ shape }) => load(zeros(shape), shape))]);

  const norm = (input: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray => nn.standardize(input, -1, { epsilon: layerNormEps }).mul(weight).add(bias);
  const linear = (input: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray => np.matmul(input, np.matrixTranspose(weight)).add(bias);
  const lossOf = (parameters: JaxArray[], input: JaxArray, wanted: JaxArray): JaxArray => {
    const [w1, b1, wqkv, bqkv, wo, bo, w2, b2, wi, bi, wu, bu] = parameters as [JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray];
    const rows = input.reshape([batch * tokens, width]);
    const projected = linear(norm(rows.ref, w1, b1), wqkv, bqkv);
    const [q, k, v] = np.split(projected, 3, 1).map((part) => part.reshape([batch, tokens, heads, width / heads])) as [JaxArray, JaxArray, JaxArray];
    const gathered = nn.dotProductAttention(q, k, v).reshape([batch * tokens, width]);
    const y = rows.add(linear(gathered, wo, bo));
    const out = y.ref.add(linear(nn.relu(linear(norm(y, w2, b2), wi, bi)), wu, bu));
    return np.mean(np.square(out.sub(wanted.reshape([batch * tokens, width]))));
  };
  const count = specs.length;
  const step = jax.jit((corrections: JaxArray, input: JaxArray, wanted: JaxArray, ...old: JaxArray[]): JaxArray[] => {
    const [parameters, ms, vs] = [old.slice(0, count), old.slice(count, 2 * count), old.slice(2 * count)];
    const [loss, gradients] = jax.valueAndGrad((own: JaxArray[]) => lossOf(own, input, wanted))(parameters.map((parameter) => parameter.ref)) as [JaxArray, JaxArray[]];
    const [first, second] = np.split(corrections, 2, 0).map((value) => value.reshape([])) as [JaxArray, JaxArray];
    const next = parameters.map((parameter, index) => {
      const gradient = gradients[index] ?? parameter;
      const m = (ms[index] ?? parameter).mul(beta1).add(gradient.ref.mul(1 - beta1));
      const v = (vs[index] ?? parameter).mul(beta2).add(np.square(gradient).mul(1 - beta2));
      const update = m.ref.div(first.ref).div(np.sqrt(v.ref.div(second.ref)).add(eps));
      return { parameter: parameter.mul(1 - learningRate * weightDecay).sub(update.mul(learningRate)), m, v };
    });
    first.dispose();
    second.dispose();
    return [loss, ...next.map(({ parameter }) => parameter), ...next.map(({ m }) => m), ...next.map(({ v }) => v)];
  });

  let steps = 0;
  const losses: JaxArray[] = [];
  return {
    launch: () => {
      steps++;
      const corrections = np.array(Float32Array.of(1 - beta1 ** steps, 1 - beta2 ** steps));
      const [loss, ...next] = step(corrections, x.ref, target.ref, ...state);
      state = next;
      if (loss !== undefined) losses.push(loss);
    },
    settle: async () => {
      await jax.blockUntilReady([...losses, ...state]);
      await queue?.onSubmittedWorkDone();
      for (const loss of losses.splice(0, losses.length - 1)) loss.dispose();
    },
    read: async () => {
      const read = async (array: JaxArray | undefined): Promise<Float32Array> => Float32Array.from(((await array?.ref.data()) as Float32Array | undefined) ?? []);
      const moments = specs.map(async ({ name }, index) => [`m.${name}`, await read(state[count + index])] as const);
      return { loss: await read(losses.at(-1)), ...Object.fromEntries(await Promise.all(moments)) };
    },
    dispose: () => {
      for (const array of [x, target, ...state, ...losses]) array.dispose();
      step.dispose();
    },
  };
}
