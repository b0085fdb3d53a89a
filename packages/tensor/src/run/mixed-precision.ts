import type { Graph, Node, Tensor } from "../graph.js";
import { type FusedSums, fusedSumsOp } from "../ops/fused-sums.js";
import { sizeOf } from "../shape.js";

/** Smaller tensors are not worth the rounding: scalars, statistics of rows, single predictions. */
const smallest = 256;

/** Parts of scope names whose tensors stay f32: `graph.scope("loss", ...)` keeps whatever is traced in it. */
const fullScopes: ReadonlySet<string> = new Set(["optimizer", "loss", "losses"]);

/** Sums lose too much in half precision, and so do their terms. */
const sums: ReadonlySet<string> = new Set(["sum", "mean", "sumSquares", "cumsum", "segmentSum"]);

/** Ops whose results stay f32: sums, logarithms of probabilities, and whatever is a loss. */
function keepsResults(name: string): boolean {
  return sums.has(name) || /logSoftmax|divergence|loss/i.test(name);
}

/**
 * Which intermediates may lie in memory as f16: activations and their gradients. Not: outputs and assigned values, what an op
 * only saves for its backward pass (row statistics), the results and terms of sums, losses, and everything the optimiser touches.
 * @param nodes that run, in order
 */
export function halfTensors(graph: Graph, nodes: readonly Node[]): ReadonlySet<Tensor> {
  const base = new Map<Tensor, Tensor>();
  const baseOf = (tensor: Tensor): Tensor => base.get(tensor) ?? tensor;
  const full = new Set<Tensor>();
  const half = new Set<Tensor>();
  for (const { op, inputs, outputs, scope, attributes } of nodes) {
    if (!op) continue;
    const [input] = inputs;
    const [output] = outputs;
    if (op.lower.kind === "view" && input && output) base.set(output, baseOf(input));
    const exempt = scope.split("/").some((part) => fullScopes.has(part));
    if (exempt || sums.has(op.name) || /loss/i.test(op.name)) for (const each of inputs) full.add(baseOf(each));
    // Terms of fused sums are computed in registers, but for those that are read as they are.
    const body = op.name === fusedSumsOp.name ? (attributes as FusedSums).body : undefined;
    inputs.forEach((each, index) => {
      if (body?.summed.some((term) => term === body.inputs[index])) full.add(baseOf(each));
    });
    if (exempt || keepsResults(op.name) || op.lower.kind === "view") continue;
    const carrying = "none" in op.vjp ? undefined : op.vjp.differentiable;
    outputs.forEach((each, index) => {
      const saved = carrying?.includes(op.outputs[index] ?? "") === false;
      const isSum = body !== undefined && index >= body.stored.length;
      if (!saved && !isSum && each.dtype === "f32" && sizeOf(each.shape) >= smallest) half.add(each);
    });
  }
  for (const tensor of [...graph.outputs.values(), ...graph.assignments.map(({ value }) => value)]) full.add(baseOf(tensor));
  for (const tensor of full) half.delete(tensor);
  return half;
}
