import type { Graph, Node, Tensor } from "../graph.js";
import { bytesOf } from "../op.js";
import { countReaders, liveNodes, rewrite, rootsOf, type Rewritten } from "./rewrite.js";

/**
 * Recomputation: results of cheap ops (`vjp.recompute`) that would be kept across the moment of the highest memory use, for
 * somebody who reads them only behind it, are dropped and computed again there, from inputs that are kept anyhow. The same
 * ops on the same numbers: the results are the same to the bit.
 */
export function recompute(graph: Graph, keep: readonly Tensor[]): Rewritten {
  const roots = rootsOf(graph, keep);
  const nodes = liveNodes(graph, roots);
  const peak = peakOf(nodes, roots);
  const dropped = droppedAcross(peak, nodes, roots);
  const again = new Map<Tensor, Tensor>();
  let position = 0;
  return rewrite(graph, keep, (node, inputs, target, now) => {
    if (position++ <= peak) return null;
    if (!node.inputs.some((input) => dropped.has(input.node))) return null;
    const late = (tensor: Tensor): Tensor => {
      const known = again.get(tensor) ?? (dropped.has(tensor.node) ? undefined : now(tensor));
      if (known) return known;
      const copies = target.copy(tensor.node, tensor.node.inputs.map(late));
      tensor.node.outputs.forEach((output, index) => {
        const copy = copies[index];
        if (copy) again.set(output, copy);
      });
      return again.get(tensor) ?? tensor;
    };
    return node.op ? target.copy(node, node.inputs.map(late)) : inputs;
  });
}

/** The tensor whose memory a tensor is: views have none of their own. */
function ownerOf(tensor: Tensor): Tensor {
  let owner = tensor;
  for (let [input] = owner.node.inputs; owner.node.op?.lower.kind === "view" && input; [input] = owner.node.inputs) owner = input;
  return owner;
}

/** By owner: position of the last node that reads it; roots are read at the very end. */
function lastReads(nodes: readonly Node[], roots: readonly Tensor[]): ReadonlyMap<Tensor, number> {
  const last = new Map<Tensor, number>();
  nodes.forEach((node, position) => {
    if (node.op?.lower.kind !== "view") for (const input of node.inputs) last.set(ownerOf(input), position);
  });
  for (const root of roots) last.set(ownerOf(root), nodes.length);
  return last;
}

/** Position of the node while which most bytes of intermediates are alive. */
function peakOf(nodes: readonly Node[], roots: readonly Tensor[]): number {
  const last = lastReads(nodes, roots);
  const change = new Float64Array(nodes.length + 2);
  nodes.forEach((node, position) => {
    if (!node.op || node.op.lower.kind === "view") return;
    for (const output of node.outputs) {
      const bytes = bytesOf([output.type]);
      const end = (last.get(output) ?? position) + 1;
      change[position] = (change[position] ?? 0) + bytes;
      change[end] = (change[end] ?? 0) - bytes;
    }
  });
  let [live, most, peak] = [0, 0, 0];
  nodes.forEach((_, position) => {
    live += change[position] ?? 0;
    if (live > most) [most, peak] = [live, position];
  });
  return peak;
}

/** Cheap nodes before the peak that are read again behind it, and can be computed there from what is alive then. */
function droppedAcross(peak: number, nodes: readonly Node[], roots: readonly Tensor[]): ReadonlySet<Node> {
  const last = lastReads(nodes, roots);
  const rooted = countReaders([], roots.map(ownerOf));
  const dropped = new Set<Node>();
  const atHand = (tensor: Tensor): boolean => {
    const { node } = ownerOf(tensor);
    return node.source !== null || dropped.has(node) || (last.get(ownerOf(tensor)) ?? -1) > peak;
  };
  nodes.slice(0, peak + 1).forEach((node) => {
    const { op } = node;
    if (!op || "none" in op.vjp) return;
    if (op.lower.kind === "view") {
      const [input] = node.inputs;
      if (input && dropped.has(input.node)) dropped.add(node);
      return;
    }
    const crosses = node.outputs.some((output) => (last.get(output) ?? -1) > peak);
    if (crosses && op.vjp.recompute === "cheap" && !node.outputs.some((output) => rooted.has(output)) && node.inputs.every(atHand)) dropped.add(node);
  });
  return dropped;
}
