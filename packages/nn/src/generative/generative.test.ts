import { add, compile, createStore, Graph, gradients, interpret, mul, openDevice, permute, reshape, sum, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { constant, expectClose, goldenArchive, variableValues } from "../golden.fixture.js";
import { distributionModule } from "./distribution-module.js";
import { predictModel } from "./predict-model.js";

const golden = goldenArchive("unit_distribution.npz");

/** Outputs and gradients of sum(output * cotangent) in a graph, with the names of their golden arrays. */
function withGradients(outputs: ReadonlyMap<Tensor, string>, cotangents: readonly Tensor[], wanted: ReadonlyMap<Tensor | Variable, string>): Map<string, string> {
  const names = new Map<string, string>();
  const [first] = outputs.keys();
  if (!first) return names;
  const { graph } = first;
  let loss: Tensor = graph.literal(0);
  [...outputs].forEach(([output, name], i) => {
    graph.output(`output ${i}`, output);
    names.set(`output ${i}`, name);
    const cotangent = cotangents[i];
    if (cotangent) loss = add(loss, sum(mul(output, cotangent)));
  });
  gradients(loss, [...wanted.keys()]).forEach((gradient, i) => {
    graph.output(`gradient ${i}`, gradient);
    names.set(`gradient ${i}`, [...wanted.values()][i] ?? "");
  });
  return names;
}

/** Compares a graph with the golden arrays, on the reference and (as a rule) on the device. */
async function expectPublished(graph: Graph, tree: unknown, names: ReadonlyMap<string, string>, prefix: string, onDevice = true): Promise<void> {
  if (!golden) return;
  const { outputs } = interpret(graph, { variables: variableValues(tree, golden, prefix) });
  for (const [name, array] of names) expectClose(outputs.get(name), golden.get(array).numbers(), 2e-5, array);
  if (!onDevice) return;
  const device = await openDevice();
  try {
    const variables = variablesOf(tree);
    const store = createStore(device, variables, { seed: 1 });
    store.load(new Map([...variables].map(([name, { shape, dtype }]) => [name, { shape, dtype, data: Float32Array.from(golden.get(prefix + name).numbers()) }])));
    const program = await compile(device, graph, { store });
    program.run({});
    const read = await program.readAll([...names.keys()]);
    for (const [name, array] of names) expectClose(read.get(name), golden.get(array).numbers(), 1e-4, `${array} on the device`);
  } finally {
    device.close();
  }
}

describe.skipIf(!golden)("generative modules against the published ones [gpu]", () => {
  it.each(["present", "future"])("DistributionModule, %s branch, values and gradients", async (branch) => {
    if (!golden) return;
    const graph = new Graph();
    const x = constant(graph, golden, `${branch}.x`);
    const block = distributionModule({ inChannels: x.at(-1), latent: 8, trailingRelu: true });
    const { mu, logSigma } = block(x);
    const wanted = new Map<Tensor | Variable, string>([[x, `${branch}.grad.x`]]);
    for (const [name, variable] of variablesOf(block)) wanted.set(variable, `${branch}.grad.${name}`);
    expect(wanted.size).toBe(9);
    const cotangents = [constant(graph, golden, `${branch}.cot_mu`), constant(graph, golden, `${branch}.cot_log_sigma`)];
    const names = withGradients(new Map([[mu, `${branch}.mu`], [logSigma, `${branch}.log_sigma`]]), cotangents, wanted);
    await expectPublished(graph, block, names, `${branch}.weights.`);
  });

  it.each([1, 6])("PredictModel over %i steps, values and gradients", async (steps) => {
    if (!golden) return;
    const of = (name: string): string => `predict_T${steps}.${name}`;
    const graph = new Graph();
    const [sample, hidden] = [constant(graph, golden, of("sample")), constant(graph, golden, of("hidden"))];
    const block = predictModel({ latent: 8, channels: 64, mixInstances: true });
    const states = block(sample, hidden, steps);
    // The published model puts time first.
    const y = permute(reshape(states, [10, steps, 64]), [1, 0, 2]);
    const wanted = new Map<Tensor | Variable, string>([[sample, of("grad.sample")], [hidden, of("grad.hidden")]]);
    for (const [name, variable] of variablesOf(block)) wanted.set(variable, of(`grad.${name}`));
    expect(wanted.size).toBe(2 + 16 + 6);
    const names = withGradients(new Map([[y, of("y")]]), [constant(graph, golden, of("cot"))], wanted);
    graph.output("states", states);
    names.set("states", of("future_states"));
    // The same kernels run on the device in the longer case.
    await expectPublished(graph, block, names, of("weights."), steps > 1);
  });
});

describe("the intended behaviour", () => {
  it("predictModel lets no instance see another's channels", () => {
    const dependence = (mixInstances: boolean): Float64Array | undefined => {
      const graph = new Graph();
      const [sample, hidden] = [graph.input("sample", [2, 3, 4]), graph.input("hidden", [2, 3, 8])];
      const block = predictModel({ latent: 4, channels: 8, mixInstances });
      const own = reshape(block(sample, hidden), [6, 8]);
      const [gradient] = gradients(sum(mul(own, graph.constant(Float64Array.from({ length: 48 }, (_, i) => (i < 8 ? 1 : 0)), [6, 8]))), [hidden]);
      if (gradient) graph.output("gradient", gradient);
      const values = Float64Array.from({ length: 48 }, (_, i) => Math.sin(i));
      return interpret(graph, { inputs: { sample: values.slice(0, 24), hidden: values }, variables: variableValues(block) }).outputs.get("gradient");
    };
    const apart = dependence(false);
    expect(apart?.slice(0, 8).some((slope) => slope !== 0)).toBe(true);
    expect(apart?.slice(8).every((slope) => slope === 0)).toBe(true);
    expect(dependence(true)?.slice(8).some((slope) => slope !== 0)).toBe(true);
  });

  it("distributionModule reaches negative means and sigmas below one", () => {
    const graph = new Graph();
    const block = distributionModule({ inChannels: 16, latent: 8 });
    const { mu, logSigma } = block(graph.input("x", [1, 20, 16]));
    graph.output("mu", mu);
    graph.output("logSigma", logSigma);
    const { outputs } = interpret(graph, { inputs: { x: Float64Array.from({ length: 320 }, (_, i) => 3 * Math.sin(i)) }, variables: variableValues(block) });
    expect(outputs.get("mu")?.some((value) => value < 0)).toBe(true);
    expect(outputs.get("logSigma")?.some((value) => value < 0)).toBe(true);
  });
});
