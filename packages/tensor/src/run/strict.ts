import { GraphError } from "../errors.js";
import type { Graph, Tensor } from "../graph.js";
import { expandNames } from "../op.js";

/**
 * Inputs of a graph that reach, as they are, an op's input in which NaN has no meaning; by name, with what they reach.
 * @throws GraphError when a constant that does so holds NaN
 */
export function strictInputs(graph: Graph): ReadonlyMap<string, string> {
  const inputs = new Map<string, string>();
  for (const node of graph.nodes) {
    const { op } = node;
    if (!op?.strict) continue;
    const names = expandNames(op.inputs, node.inputs.length);
    node.inputs.forEach((input, position) => {
      const name = names[position] ?? "";
      if (!op.strict?.includes(name)) return;
      const { source } = throughViews(input).node;
      const reached = `"${name}" of ${op.name}${node.scope === "" ? "" : ` in ${node.scope}`}`;
      if (source?.kind === "input") inputs.set(source.name, reached);
      if (source?.kind === "constant") requireNumbers(source.data, "compile: a constant", reached);
    });
  }
  return inputs;
}

/** @throws GraphError with the place of the first NaN */
export function requireNumbers(data: ArrayLike<number>, where: string, reached: string): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isNaN(data[i])) throw new GraphError(`${where} holds NaN at element ${i}, expected numbers, as it is ${reached}. Mask the element out or give it a finite value.`);
  }
}

function throughViews(tensor: Tensor): Tensor {
  const [input] = tensor.node.inputs;
  return tensor.node.op?.lower.kind === "view" && input ? throughViews(input) : tensor;
}
