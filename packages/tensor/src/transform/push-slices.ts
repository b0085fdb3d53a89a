import type { Graph, Node, Tensor } from "../graph.js";
import type { Along, OpDefinition } from "../op.js";
import { reshape } from "../ops/reshape.js";
import { slice } from "../ops/slice.js";
import { sameShape, type Shape, sizeOf } from "../shape.js";
import { liveNodes, rewrite, rewriteInPlace, rootsOf, type Rewritten, type Rule } from "./rewrite.js";

/** Some positions of an axis: of every `period` positions in a row, `count` from `start` on. */
interface Selection {
  readonly axis: number;
  readonly period: number;
  readonly start: number;
  readonly count: number;
}

/** What is read of a tensor. */
type Demand = Selection | "whole";

/**
 * Slice push-down: where only some rows of a result are read, only those rows are computed, and so on through all ops
 * whose rows are independent (`OpDefinition.along`): products, norms, elementwise ops, the queries of attention.
 */
export function pushSlices(graph: Graph, keep: readonly Tensor[]): Rewritten {
  return rewrite(graph, keep, pushing(graph, rootsOf(graph, keep)));
}

/** {@link pushSlices} within a graph that is still being traced. @param roots tensors that may be read whole later on */
export function pushSlicesInPlace(graph: Graph, roots: readonly Tensor[]): void {
  rewriteInPlace(graph, roots, pushing(graph, roots));
}

function pushing(graph: Graph, roots: readonly Tensor[]): Rule {
  const demands = demandsOf(graph, roots);
  const parts = new Map<Tensor, Tensor>();
  return (node, _, target, now) => {
    const [output] = node.outputs;
    const [input] = node.inputs;
    if (!node.op || !output) return null;
    const sliced = input && selectionOf(node);
    if (sliced && demands.get(output) === "whole" && demands.get(input) !== "whole") return [parts.get(input)];
    const wanted = demands.get(output) ?? "whole";
    if (wanted === "whole") return null;
    const take = (of: Tensor, selection: Selection): Tensor | undefined => {
      if (demands.get(of) !== "whole") return parts.get(of);
      const whole = now(of);
      return whole && materialise(whole, selection);
    };
    const step = through(node, wanted);
    if (!step) return null;
    const inputs = node.inputs.flatMap((of, position) => {
      const selection = step.inputs[position];
      return (selection ? take(of, selection) : now(of)) ?? [];
    });
    const made = target.apply(node.op as unknown as OpDefinition<object>, inputs, step.attributes);
    made.forEach((part, index) => {
      const of = node.outputs[index];
      if (of) parts.set(of, part);
    });
    return [];
  };
}

/** What the nodes read of each tensor, from the roots backwards. */
function demandsOf(graph: Graph, roots: readonly Tensor[]): ReadonlyMap<Tensor, Demand> {
  const demands = new Map<Tensor, Demand>();
  const demand = (tensor: Tensor, wanted: Demand): void => {
    const known = demands.get(tensor);
    demands.set(tensor, known === undefined || same(known, wanted) ? wanted : "whole");
  };
  const worthwhile = reach();
  for (const root of roots) demand(root, "whole");
  for (const node of liveNodes(graph, roots).reverse()) {
    const [output, ...others] = node.outputs;
    const wanted = output && demands.get(output);
    const alike = (other: Tensor): boolean => {
      const also = demands.get(other);
      return also === undefined || (sameShape(other.shape, output?.shape ?? []) && wanted !== undefined && same(also, wanted));
    };
    const step = wanted && wanted !== "whole" && others.every(alike) && worthwhile(node, wanted) ? through(node, wanted) : null;
    if (step) {
      node.inputs.forEach((input, position) => {
        demand(input, step.inputs[position] ?? "whole");
      });
      continue;
    }
    for (const tensor of node.outputs) demands.set(tensor, "whole");
    const selection = selectionOf(node);
    const [input] = node.inputs;
    for (const each of node.inputs) demand(each, selection && each === input && worthwhile(input.node, selection) ? selection : "whole");
  }
  return demands;
}

function same(a: Demand, b: Demand): boolean {
  if (a === "whole" || b === "whole") return a === b;
  return a.axis === b.axis && a.period === b.period && a.start === b.start && a.count === b.count;
}

/** The selection a slice along one axis makes of its input. */
function selectionOf(node: Node): Selection | null {
  const [input] = node.inputs;
  if (node.op?.name !== "slice" || !input) return null;
  const { start, size } = node.attributes as { readonly start: Shape; readonly size: Shape };
  const cut = input.shape.flatMap((n, axis) => (size[axis] === n ? [] : [axis]));
  const [axis] = cut;
  if (axis === undefined || cut.length > 1 || sizeOf(input.shape) === 0 || size[axis] === 0) return null;
  return { axis, period: input.at(axis), start: start[axis] ?? 0, count: size[axis] ?? 0 };
}

/** What a node needs of its inputs for a selection of its first output, and its attributes then; null: everything. */
function through(node: Node, selection: Selection): { readonly inputs: readonly (Selection | null)[]; readonly attributes: object } | null {
  const [output] = node.outputs;
  const [input] = node.inputs;
  if (!node.op || !output || !input) return null;
  const size = (output.at(selection.axis) / selection.period) * selection.count;
  if (node.op.name === "reshape") {
    const moved = throughReshape(selection, output.shape, input.shape);
    return moved && { inputs: [moved], attributes: { shape: output.shape.map((n, axis) => (axis === selection.axis ? size : n)) } };
  }
  const along = node.op.along?.(selection.axis, node.inputs.map(({ type }) => type), node.attributes as never) as Along<object> | undefined;
  if (!along?.inputs.some((axis) => axis !== null)) return null;
  return {
    inputs: along.inputs.map((axis) => (axis === null ? null : { ...selection, axis })),
    attributes: along.attributes?.(size) ?? node.attributes,
  };
}

/** The same elements chosen from a tensor of another shape, where that is a selection along one of its axes. */
function throughReshape(selection: Selection, shape: Shape, other: Shape): Selection | null {
  const inner = sizeOf(shape.slice(selection.axis + 1));
  const stretch = selection.period * inner;
  for (let axis = other.length - 1; axis >= 0; axis--) {
    const innerThere = sizeOf(other.slice(axis + 1));
    const positions = (other[axis] ?? 1) * innerThere;
    if (inner % innerThere !== 0 || positions % stretch !== 0) continue;
    const scale = inner / innerThere;
    return { axis, period: selection.period * scale, start: selection.start * scale, count: selection.count * scale };
  }
  return null;
}

/** Whether pushing a selection of a node's output up leads to an op that is worth making smaller; copies alone are not. */
function reach(): (node: Node, selection: Selection) => boolean {
  const known = new Map<Node, boolean>();
  const reaches = (node: Node, selection: Selection): boolean => {
    const seen = known.get(node);
    if (seen !== undefined) return seen;
    const step = through(node, selection);
    const copies = node.op?.lower.kind !== "kernels" || ["slice", "concat", "permute"].includes(node.op.name);
    const result = step !== null && (!copies || node.inputs.some((input, position) => {
      const selected = step.inputs[position];
      return selected !== null && selected !== undefined && reaches(input.node, selected);
    }));
    known.set(node, result);
    return result;
  };
  return reaches;
}

/** The selected positions as a tensor of their own; always the same slice, whatever shape the tensor is seen under. */
function materialise(whole: Tensor, { axis, period, start, count }: Selection): Tensor {
  let base = whole;
  for (let [seen] = base.node.inputs; base.node.op?.name === "reshape" && seen; [seen] = base.node.inputs) base = seen;
  const inner = sizeOf(whole.shape.slice(axis + 1));
  const part = slice(reshape(base, [-1, period * inner]), 1, start * inner, (start + count) * inner);
  return reshape(part, whole.shape.map((n, i) => (i === axis ? (n / period) * count : n)));
}
