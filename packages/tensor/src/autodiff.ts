import { GraphError } from "./errors.js";
import type { Graph, Node, Operand, Tensor } from "./graph.js";
import type { VjpContext } from "./op.js";
import { add, broadcastTo } from "./ops/elementwise.js";
import { sumTo } from "./ops/sum-to.js";
import { formatType } from "./shape.js";
import { fuseEpiloguesInPlace } from "./transform/epilogue.js";
import { pushSlicesInPlace } from "./transform/push-slices.js";
import { rootsOf } from "./transform/rewrite.js";
import { verify } from "./transform/verify.js";

/**
 * Reverse-mode gradients: appends the backward pass to the graph of `loss`.
 * @param loss a scalar
 * @param wrt tensors or variables of the same graph
 * @returns one gradient a tensor of `wrt`, zeros where the loss does not depend on it
 * @throws GraphError when the loss is no scalar, or an op on the way has no gradient
 */
export function gradients(loss: Tensor, wrt: readonly Operand[]): readonly Tensor[] {
  if (loss.shape.length !== 0) {
    throw new GraphError(`gradients: the loss must be a scalar, expected f32[], got ${formatType(loss.type)}. Take its sum or mean.`);
  }
  const { graph } = loss;
  prepareForward(loss, wrt);
  return differentiate(graph.resolve(loss), wrt);
}

/** Rewrites the forward pass before it is differentiated, so that the backward pass gets the smaller shapes and the fewer ops too. */
function prepareForward(loss: Tensor, wrt: readonly Operand[]): void {
  const { graph } = loss;
  if (graph.dropsDeadRows) {
    pushSlicesInPlace(graph, readLater(loss, wrt));
    verify(graph, "pushSlices");
  }
  fuseEpiloguesInPlace(graph, readLater(loss, wrt));
  verify(graph, "fuseEpilogues");
}

/** What may be read besides the loss: outputs, the tensors gradients are wanted of, and whatever nothing has read so far. */
function readLater(loss: Tensor, wrt: readonly Operand[]): readonly Tensor[] {
  const { graph } = loss;
  const read = new Set(graph.nodes.flatMap((node) => [...node.inputs]));
  const ends = graph.nodes.filter((node) => node.op && node.outputs.every((output) => !read.has(output) && !graph.isReplaced(output)));
  return [...ends.flatMap((node) => [...node.outputs]), ...rootsOf(graph, [loss]), ...wrt.map((operand) => graph.lift(operand))];
}

function differentiate(loss: Tensor, wrt: readonly Operand[]): readonly Tensor[] {
  const { graph } = loss;
  const targets = wrt.map((operand) => graph.lift(operand));
  const wanted = nodesBetween(graph, loss.node, new Set(targets.map((target) => target.node)));
  const cotangents = new Map<Tensor, Tensor>([[loss, graph.literal(1)]]);

  graph.scope("backward", () => {
    const end = loss.node.id;
    for (let id = end; id >= 0; id--) {
      const node = graph.nodes[id];
      if (node && wanted.has(node)) backward(node, wanted, cotangents);
    }
  });
  return targets.map((target) => {
    const cotangent = cotangents.get(target) ?? graph.literal(0);
    return broadcastTo(cotangent, target.shape);
  });
}

/** Nodes that depend on a target and that the loss depends on. */
function nodesBetween(graph: Graph, last: Node, targets: ReadonlySet<Node>): ReadonlySet<Node> {
  const depends = new Set<Node>();
  for (const node of graph.nodes.slice(0, last.id + 1)) {
    if (targets.has(node) || node.inputs.some((input) => depends.has(input.node))) depends.add(node);
  }
  const reached = new Set<Node>([last]);
  for (let id = last.id; id >= 0; id--) {
    const node = graph.nodes[id];
    if (!node || !reached.has(node)) continue;
    if (node.op && "none" in node.op.vjp) continue;
    for (const input of node.inputs) reached.add(input.node);
  }
  return new Set([...depends].filter((node) => reached.has(node)));
}

function backward(node: Node, wanted: ReadonlySet<Node>, cotangents: Map<Tensor, Tensor>): void {
  if (!node.op || "none" in node.op.vjp) return;
  const outputs = node.outputs.map((output) => {
    const cotangent = cotangents.get(output);
    return cotangent ? broadcastTo(cotangent, output.shape) : undefined;
  });
  if (outputs.every((cotangent) => cotangent === undefined)) return;
  const { differentiable } = node.op.vjp;
  const stuck = node.outputs.findIndex((_, i) => outputs[i] !== undefined && differentiable?.includes(node.op?.outputs[i] ?? "") === false);
  if (stuck >= 0) {
    throw new GraphError(`gradients: the loss depends on output "${node.op.outputs[stuck] ?? ""}" of ${node.op.name}, which carries no gradient, expected ${differentiable?.join(", ") ?? ""}. Wrap it in stopGradient.`);
  }
  const context: VjpContext<never> = {
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes as never,
    cotangents: outputs,
    needs: node.inputs.map((input) => wanted.has(input.node)),
  };
  const grads = node.op.vjp.rule(context);
  node.inputs.forEach((input, position) => {
    const grad = grads[position];
    if (!grad || !wanted.has(input.node)) return;
    const whole = sumTo(grad, input.shape);
    const known = cotangents.get(input);
    cotangents.set(input, known ? add(known, whole) : whole);
  });
}
