import { ShapeError } from "@distilldrive/kernels";
import { Graph, type Node, type Tensor } from "../graph.js";
import type { Draw, Sample } from "../op.js";
import { sumsKernels } from "../run/sums-kernel.js";
import { formatType, sameShape, type Shape, sizeOf, typeOf } from "../shape.js";
import { verify } from "../transform/verify.js";
import { add, greater, mul, relu, square } from "./elementwise.js";
import { defineKernelOp } from "./kernel-op.js";

/**
 * What a fused pass does with each element of its domain: a small graph of elementwise ops. It prints as one line and is part of
 * the op's attributes.
 */
export class SumsBody {
  /** Elementwise nodes in execution order. */
  readonly nodes: readonly Node[];

  /**
   * @param inputs what is read from memory; each broadcasts to the domain
   * @param stored elementwise results that are written, in the shape of the domain
   * @param summed tensors of the domain's shape that are added up over its leading axes
   * @param domain shape all elements are walked in
   * @param columns product of the trailing axes that stay
   */
  constructor(
    readonly graph: Graph,
    readonly inputs: readonly Tensor[],
    readonly stored: readonly Tensor[],
    readonly summed: readonly Tensor[],
    readonly domain: Shape,
    readonly columns: number,
  ) {
    this.nodes = graph.nodes.filter(({ op }) => op !== null);
  }

  /** Rows that are added up: the product of the leading axes. */
  get rows(): number {
    return sizeOf(this.domain) / Math.max(1, this.columns);
  }

  /** `a = mul(x0, x1); b = relu(a); store a; sum a, b`: how the body is printed and compared. */
  toJSON(): string {
    const names = new Map(this.inputs.map((input, i) => [input, `x${i}`]));
    const name = (tensor: Tensor): string => names.get(tensor) ?? (tensor.node.source?.kind === "literal" ? String(tensor.node.source.value) : tensor.toString());
    const lines = this.nodes.map(({ op, inputs, attributes, outputs: [output] }, i) => {
      if (output) names.set(output, `t${i}`);
      const operands = [...inputs.map(name), ...Object.entries(attributes).map(([key, value]) => `${key}=${JSON.stringify(value)}`)];
      return `t${i} = ${op?.name ?? ""}(${operands.join(", ")})`;
    });
    if (this.stored.length > 0) lines.push(`store ${this.stored.map(name).join(", ")}`);
    return [...lines, `sum ${this.summed.map(name).join(", ")}`].join("; ");
  }
}

/** A body and nothing else; sizes follow from it. */
export interface FusedSums {
  readonly body: SumsBody;
}

/**
 * Column sums with the elementwise work before them: one pass over the inputs computes every element of the body's domain,
 * writes the stored results [...domain] and adds up the summed ones over the leading axes, [columns] each. What the compiler
 * makes of the gradients of biases and scales; see transform/fuse-sums.ts.
 */
export const fusedSumsOp = defineKernelOp<FusedSums>({
  name: "fusedSums",
  inputs: ["x..."],
  outputs: ["y..."],
  shape: (inputs, { body }) => {
    verify(body.graph, "fusedSums");
    body.inputs.forEach(({ type }, i) => {
      const given = inputs[i];
      if (!given || given.dtype !== type.dtype || !sameShape(given.shape, type.shape)) {
        throw new ShapeError(`fusedSums: input ${i} does not fit the body, expected ${formatType(type)}, got ${given ? formatType(given) : "nothing"}.`);
      }
    });
    const stray = [...body.stored, ...body.summed].find(({ shape }) => !sameShape(shape, body.domain));
    if (stray) throw new ShapeError(`fusedSums: a result has another shape than the domain, expected [${body.domain.join(", ")}], got [${stray.shape.join(", ")}].`);
    return [...body.stored.map(() => typeOf(body.domain)), ...body.summed.map(() => typeOf([body.columns]))];
  },
  kernels: ({ target, attributes: { body } }) => sumsKernels(body, target),
  vjp: { none: "made by the compiler after gradients are taken" },
  tolerance: (_, { body }) => ({ terms: body.rows, scale: 16 }),
  samples: (draw) => fusedSumsSample(draw),
});

/** A small body over a domain of two to four axes, with inputs that are broadcast along some of them. */
function fusedSumsSample(draw: Draw): Sample<FusedSums> {
  const domain = [draw.size(5), draw.size(40), draw.size(9), draw.size(12)].slice(draw.integer(0, 2));
  const kept = draw.integer(1, domain.length - 1);
  const graph = new Graph();
  const shapes = Array.from({ length: 3 }, (_, i) => (i === 0 ? domain : domain.map((n) => (draw.integer(0, 2) === 0 ? 1 : n)).slice(draw.integer(0, domain.length - 1))));
  const inputs = shapes.map((shape, i) => graph.input(`x${i}`, shape));
  const [x, a, b] = inputs as [Tensor, Tensor, Tensor];
  const y = relu(add(mul(x, a), b));
  const masked = mul(x, greater(y, 0));
  const summed = draw.pick([[masked], [x, masked], [square(masked), x, y]]);
  const body = new SumsBody(graph, inputs, draw.pick([[], [masked], [y, masked]]), summed, domain, sizeOf(domain.slice(kept)));
  return { inputs: shapes.map((shape) => typeOf(shape)), attributes: { body } };
}
