import { Graph, type Node, type Tensor } from "../graph.js";

/** A graph made from another one. */
export interface Rewritten {
  readonly graph: Graph;
  /** The tensor of the new graph that has the value of a tensor of the old one, or undefined when nothing needs it any more. */
  readonly resolve: (tensor: Tensor) => Tensor | undefined;
}

/**
 * What becomes of a node.
 * @param inputs the node's inputs in the new graph, without those that the rule left out
 * @param now what stands for a tensor of the old graph
 * @returns tensors that take the place of the node's outputs; null to keep the node; fewer tensors than the node has outputs
 *   where nothing reads them any more
 */
export type Rule = (node: Node, inputs: readonly Tensor[], target: Graph, now: (tensor: Tensor) => Tensor | undefined) => readonly (Tensor | undefined)[] | null;

/** What a run must compute: outputs, assigned values, and tensors to keep. */
export function rootsOf(graph: Graph, keep: readonly Tensor[]): Tensor[] {
  return [...graph.outputs.values(), ...graph.assignments.map(({ value }) => value), ...keep.map((tensor) => graph.resolve(tensor))];
}

/** Nodes that the roots depend on, in order. */
export function liveNodes(graph: Graph, roots: readonly Tensor[]): Node[] {
  const live = new Set<Node>(roots.map((root) => root.node));
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id];
    if (node && live.has(node)) for (const input of node.inputs) live.add(input.node);
  }
  return graph.nodes.filter((node) => live.has(node));
}

/** How often live nodes read each tensor; roots are read once more. */
export function countReaders(nodes: readonly Node[], roots: readonly Tensor[]): ReadonlyMap<Tensor, number> {
  const readers = new Map<Tensor, number>();
  for (const tensor of [...nodes.flatMap(({ inputs }) => inputs), ...roots]) readers.set(tensor, (readers.get(tensor) ?? 0) + 1);
  return readers;
}

/** How a graph is rewritten. */
export interface RewriteOptions {
  /** false: variables stay as they are. */
  readonly assign?: boolean;
  /** Another order of the live nodes, in which whatever a rule looks up still comes before. */
  readonly order?: (nodes: readonly Node[]) => readonly Node[];
}

/** Applies a rule to the live nodes of a graph, in order, and collects what comes out in a new graph. */
export function rewrite(source: Graph, keep: readonly Tensor[], rule: Rule, { assign = true, order = (nodes) => nodes }: RewriteOptions = {}): Rewritten {
  const target = new Graph();
  const map = new Map<Tensor, Tensor>();
  const resolve = (tensor: Tensor): Tensor | undefined => map.get(source.resolve(tensor));
  const assignments = assign ? source.assignments : [];
  const roots = [...source.outputs.values(), ...assignments.map(({ value }) => value), ...keep.map((tensor) => source.resolve(tensor))];
  for (const node of order(liveNodes(source, roots))) {
    const inputs = node.inputs.map((input) => map.get(input));
    target.inScopeOf(node, () => {
      const present = inputs.filter((input) => input !== undefined);
      const results = rule(node, present, target, (tensor) => map.get(tensor)) ?? target.copy(node, present);
      node.outputs.forEach((output, index) => {
        const result = results[index];
        if (result) map.set(output, result);
      });
    });
  }
  for (const [name, value] of source.outputs) {
    const result = resolve(value);
    if (result) target.output(name, result);
  }
  for (const { target: variable, value } of assignments) {
    const result = resolve(value);
    if (variable.node.source?.kind === "variable" && result) target.assign(variable.node.source.variable, result);
  }
  return { graph: target, resolve };
}

/**
 * Applies a rule within a graph: what changes is appended, and stands for the old tensors from then on.
 * @param roots tensors whose computation is looked at; other nodes stay as they are
 */
export function rewriteInPlace(graph: Graph, roots: readonly Tensor[], rule: Rule): void {
  const map = new Map<Tensor, Tensor | undefined>();
  const mapped = (tensor: Tensor): Tensor | undefined => (map.has(tensor) ? map.get(tensor) : tensor);
  for (const node of liveNodes(graph, roots)) {
    graph.inScopeOf(node, () => {
      const inputs = node.inputs.map(mapped).filter((input) => input !== undefined);
      const changed = node.inputs.some((input) => map.has(input));
      const results = rule(node, inputs, graph, mapped) ?? (changed ? graph.copy(node, inputs) : null);
      if (results) node.outputs.forEach((output, index) => map.set(output, results[index]));
    });
  }
  for (const [old, now] of map) if (now) graph.replace(old, now);
}
