import { compile, type Device, formatNode, type Graph, type Store, type Tensor } from "@distilldrive/tensor";

/**
 * Finds the first value of a graph that is not finite: an input, a variable, or the result of an op, each op run in a
 * kernel of its own. Assignments are left out, so the store stays as it is.
 * @param variables names of the variables to look at
 * @param precision how the training stores numbers: half precision overflows sooner
 * @returns what it is, as the graph prints it, or null when everything is finite
 */
export async function diagnose(
  device: Device,
  graph: Graph,
  store: Store,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
  variables: Iterable<string> = store.variables.keys(),
  precision: "f32" | "mixed" = "f32",
): Promise<string | null> {
  for (const [name, values] of Object.entries(inputs)) {
    const index = firstNonFinite(values);
    if (index >= 0) return `input "${name}" of the batch, element ${index} (${String(values[index])})`;
  }
  for (const [name, { data }] of await store.snapshot(variables)) {
    const index = firstNonFinite(data);
    if (index >= 0) return `variable "${name}", element ${index} (${String(data[index])})`;
  }
  const results: Tensor[] = graph.nodes.filter((node) => node.op).flatMap((node) => [...node.outputs]).filter(({ dtype }) => dtype === "f32");
  const program = await compile(device, graph, { store, keep: results, fused: false, assign: false, precision });
  try {
    program.run(inputs);
    for (const tensor of results) {
      const index = firstNonFinite(await program.readKept(tensor));
      if (index >= 0) return `element ${index} of ${formatNode(tensor.node)}`;
    }
    return null;
  } finally {
    program.destroy();
  }
}

function firstNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
