import type { Node, Tensor } from "../graph.js";
import { sizeOf } from "../shape.js";

/** A chain of elementwise nodes that becomes one kernel: everything but the root's output stays in registers. */
export interface FusedGroup {
  readonly kind: "fused";
  /** In execution order; the last one is the root. */
  readonly nodes: readonly Node[];
  /** Tensors read from memory (literals excluded). */
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
}

/** One step of the schedule. */
export type Step = FusedGroup | { readonly kind: "op"; readonly node: Node } | { readonly kind: "view"; readonly node: Node };

/**
 * Groups elementwise nodes: a node joins the group of its consumers when all of them are in one group and nothing
 * outside needs its value. A smaller node joins a larger group too (it is recomputed per element) unless it is costly.
 * @param maxInputs storage buffers a kernel may read
 */
export function fuse(nodes: readonly Node[], kept: ReadonlySet<Tensor>, maxInputs: number): readonly Step[] {
  const consumers = new Map<Node, Node[]>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      const producer = input.node;
      const list = consumers.get(producer);
      if (list) list.push(node);
      else consumers.set(producer, [node]);
    }
  }
  const rootOf = new Map<Node, Node>();
  const members = new Map<Node, Node[]>();
  for (const node of [...nodes].reverse()) {
    if (node.op?.lower.kind !== "elementwise") continue;
    const users = consumers.get(node) ?? [];
    const [first] = users;
    const root = first && rootOf.get(first);
    const group = root && members.get(root);
    if (
      root &&
      group &&
      !node.outputs.some((output) => kept.has(output)) &&
      users.every((user) => rootOf.get(user) === root) &&
      fits(node, root) &&
      externalInputs([...group, node]).length <= maxInputs
    ) {
      rootOf.set(node, root);
      group.push(node);
    } else {
      rootOf.set(node, node);
      members.set(node, [node]);
    }
  }
  const steps: Step[] = [];
  for (const node of nodes) {
    if (node.source) continue;
    const kind = node.op?.lower.kind;
    if (kind === "view") steps.push({ kind: "view", node });
    else if (kind === "kernels") steps.push({ kind: "op", node });
    else {
      const group = members.get(node);
      const [output] = node.outputs;
      if (!group || !output) continue;
      const own = [...group].sort((a, b) => a.id - b.id);
      steps.push({ kind: "fused", nodes: own, inputs: externalInputs(own), output });
    }
  }
  return steps;
}

/** Floating point operations above which an element is not worth computing more than once. */
export const costlyFlops = 8;

function fits(node: Node, root: Node): boolean {
  const [own] = node.outputs;
  const [whole] = root.outputs;
  if (!own || !whole) return false;
  return sizeOf(own.shape) === sizeOf(whole.shape) || flopsPerElement(node) < costlyFlops;
}

/** Floating point operations an elementwise node takes for one element of its result. */
export function flopsPerElement(node: Node): number {
  const [own] = node.outputs;
  if (!own || !node.op) return 0;
  const { flops } = node.op.cost(
    node.inputs.map((input) => input.type),
    node.outputs.map((output) => output.type),
    node.attributes as never,
  );
  return flops / Math.max(1, sizeOf(own.shape));
}

function externalInputs(nodes: readonly Node[]): Tensor[] {
  const inside = new Set(nodes);
  const inputs = new Set<Tensor>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      if (!inside.has(input.node) && input.node.source?.kind !== "literal") inputs.add(input);
    }
  }
  return [...inputs];
}
