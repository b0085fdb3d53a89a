import type { Graph, Node, Tensor } from "../graph.js";
import { sameShape } from "../shape.js";

/** A graph reduced to what must run: live nodes in order, duplicates merged, identities dropped. */
export interface Simplified {
  readonly nodes: readonly Node[];
  /** The tensor that stands for another after merging. */
  resolve(tensor: Tensor): Tensor;
}

/**
 * Common-subexpression elimination, removal of views that change nothing, and dead-code elimination.
 * @param roots tensors that must be computed
 */
export function simplify(graph: Graph, roots: readonly Tensor[]): Simplified {
  const replaced = new Map<Tensor, Tensor>();
  const resolve = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  const known = new Map<string, Node>();
  for (const node of graph.nodes) {
    const { op } = node;
    if (!op) continue;
    const inputs = node.inputs.map(resolve);
    const [input] = inputs;
    const [output] = node.outputs;
    if (op.lower.kind === "view" && input && output && sameShape(input.shape, output.shape)) {
      replaced.set(output, input);
      continue;
    }
    const key = `${op.name}(${inputs.map((tensor) => tensor.toString()).join(",")})${JSON.stringify(node.attributes)}`;
    const twin = known.get(key);
    if (!twin) {
      known.set(key, node);
      continue;
    }
    node.outputs.forEach((tensor, index) => {
      const same = twin.outputs[index];
      if (same) replaced.set(tensor, same);
    });
  }
  const live = new Set<Node>(roots.map((root) => resolve(root).node));
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id];
    if (node && live.has(node)) for (const input of node.inputs) live.add(resolve(input).node);
  }
  return { nodes: graph.nodes.filter((node) => live.has(node)), resolve };
}
