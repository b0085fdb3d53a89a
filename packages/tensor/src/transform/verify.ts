import { GraphError } from "../errors.js";
import { formatNode, type Graph, type Tensor } from "../graph.js";
import { formatType, sameShape } from "../shape.js";

/**
 * Checks a graph: every input of a node belongs to the graph and is made by an earlier node, every op's shape rule gives the
 * types stored with it, and what is returned or assigned exists and fits.
 * @param where what made the graph, for the message
 * @throws GraphError naming `where` and the node
 */
export function verify(graph: Graph, where: string): void {
  const known = new Set<Tensor>();
  graph.nodes.forEach((node, position) => {
    const fail = (what: string): never => {
      throw new GraphError(`${where}: ${what} in ${formatNode(node)}. This is a mistake of ${where}; please report it with the printed graph.`);
    };
    if (node.id !== position) fail(`node is out of place, expected id ${position}, got ${node.id}`);
    for (const input of node.inputs) if (!known.has(input)) fail(`${input.toString()} is used before it is computed`);
    if (node.op) {
      let types: readonly Tensor["type"][] = [];
      try {
        types = node.op.shape(node.inputs.map((input) => input.type), node.attributes as never);
      } catch (cause) {
        fail(`the op refuses its inputs (${cause instanceof Error ? cause.message : String(cause)})`);
      }
      if (types.length !== node.outputs.length) fail(`wrong number of outputs, expected ${types.length}, got ${node.outputs.length}`);
      types.forEach((type, index) => {
        const stored = node.outputs[index]?.type;
        if (!stored || !sameShape(stored.shape, type.shape) || stored.dtype !== type.dtype) {
          fail(`output ${index} has the wrong type, expected ${formatType(type)}, got ${stored ? formatType(stored) : "nothing"}`);
        }
      });
    }
    for (const output of node.outputs) known.add(output);
  });
  const exists = (tensor: Tensor, what: string): void => {
    if (!known.has(tensor)) throw new GraphError(`${where}: ${what} is ${tensor.toString()}, which is not a tensor of the graph. This is a mistake of ${where}; please report it with the printed graph.`);
  };
  for (const [name, value] of graph.outputs) exists(value, `output "${name}"`);
  for (const { target, value } of graph.assignments) {
    exists(target, "the target of an assignment");
    exists(value, "the value of an assignment");
    if (target.node.source?.kind !== "variable") throw new GraphError(`${where}: ${target.toString()} is assigned but is no variable, got ${formatNode(target.node)}.`);
  }
}
