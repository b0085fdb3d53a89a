import { Graph, type Node, type Tensor } from "../graph.js";
import { fusedSumsOp, SumsBody } from "../ops/fused-sums.js";
import { reshape } from "../ops/reshape.js";
import { rewrite, rootsOf, liveNodes, type Rewritten } from "./rewrite.js";
import { findPasses, type Pass } from "./sum-passes.js";

/** Storage buffers every WebGPU device lets a kernel use. */
const portableBuffers = 8;

/**
 * Column sums take in the elementwise work before them: what the sums of one pass have in common is read once, elementwise results
 * on the way that others need are written by the same pass, and cheap ones made earlier are computed again where that
 * saves reading them.
 * @param maxBuffers storage buffers a kernel may use
 * @param smallest elements from which on a sum is worth a pass
 */
export function fuseSums(graph: Graph, keep: readonly Tensor[], maxBuffers = portableBuffers, smallest = 0): Rewritten {
  const roots = rootsOf(graph, keep);
  const passes = findPasses(liveNodes(graph, roots), new Set(roots), maxBuffers, smallest);
  const passOf = new Map<Node, Pass>();
  for (const pass of passes) for (const node of pass.replaced) passOf.set(node, pass);
  const made = new Map<Pass, ReadonlyMap<Tensor, Tensor>>();
  const place = (node: Node): number => passOf.get(node)?.position ?? node.id;
  const fused = rewrite(
    graph,
    keep,
    (node, _, __, now) => {
      const pass = passOf.get(node);
      if (!pass) return null;
      let results = made.get(pass);
      if (!results) made.set(pass, (results = emit(pass, now)));
      return node.outputs.map((output) => results.get(output));
    },
    { order: (nodes) => [...nodes].sort((a, b) => place(a) - place(b) || a.id - b.id) },
  );
  // What only recomputed values needed is dead now.
  const cleaned = rewrite(fused.graph, keep.flatMap((tensor) => fused.resolve(tensor) ?? []), () => null);
  return {
    graph: cleaned.graph,
    resolve: (tensor) => {
      const known = fused.resolve(tensor);
      return known && cleaned.resolve(known);
    },
  };
}

/** Applies the op that computes a pass; returns what stands for the tensors of the old graph. */
function emit({ nodes, inputs, stored, sums, domain, columns }: Pass, now: (tensor: Tensor) => Tensor | undefined): ReadonlyMap<Tensor, Tensor> {
  const operands = inputs.flatMap((input) => now(input) ?? []);
  const body = new Graph();
  const inside = new Map(inputs.map((input, i) => [input, body.input(`x${i}`, input.shape, input.dtype)]));
  const valueOf = (tensor: Tensor): Tensor => (tensor.node.source?.kind === "literal" ? body.literal(tensor.node.source.value) : (inside.get(tensor) ?? tensor));
  for (const node of nodes) {
    const results = body.copy(node, node.inputs.map(valueOf));
    node.outputs.forEach((output, i) => {
      const result = results[i];
      if (result) inside.set(output, result);
    });
  }
  const attributes = { body: new SumsBody(body, [...inside.values()].slice(0, inputs.length), stored.map(valueOf), sums.map(({ value }) => valueOf(value)), domain, columns) };
  const target = operands[0]?.graph;
  const results = target?.apply(fusedSumsOp, operands, attributes) ?? [];
  const replaced = new Map<Tensor, Tensor>();
  [...stored, ...sums.map(({ result }) => result)].forEach((old, i) => {
    const result = results[i];
    if (result) replaced.set(old, reshape(result, old.shape));
  });
  return replaced;
}
