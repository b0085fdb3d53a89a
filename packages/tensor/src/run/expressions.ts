import type { Arrays, DType } from "@distilldrive/kernels";
import { GraphError } from "../errors.js";
import type { Node, Tensor } from "../graph.js";
import { literal } from "../wgsl-literal.js";

/** Elementwise nodes in execution order, computed in registers, and the tensors they read from memory (literals excluded). */
export interface ElementwiseNodes {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Tensor[];
}

/** WGSL types of four elements. */
export const vectorTypes = { f32: "vec4f", i32: "vec4i", u32: "vec4u" } as const satisfies Record<DType, string>;

/** An input `x<position>` as `T` at an index; single elements become vectors of equals. */
export function load(input: Tensor, position: number, index: string, vector: boolean): string {
  const element = `x${position}[${index}]`;
  return `let v${position} = T(${vector || input.dtype === "f32" ? element : `f32(${element})`});`;
}

/**
 * The nodes as WGSL lines `let t0 = ...` over the loaded inputs `v0`, `v1`, ..., the functions they call, and the name of any
 * tensor among nodes and inputs.
 */
export function expressions({ nodes, inputs }: ElementwiseNodes): { readonly lines: readonly string[]; readonly functions: string; readonly nameOf: (tensor: Tensor) => string } {
  const names = new Map(inputs.map((input, position) => [input, `v${position}`]));
  nodes.forEach(({ outputs: [output] }, position) => {
    if (output) names.set(output, `t${position}`);
  });
  const reference = (tensor: Tensor): string => {
    if (tensor.node.source?.kind === "literal") return `T(${literal(tensor.node.source.value)})`;
    const name = names.get(tensor);
    if (!name) throw new GraphError(`fusion: ${tensor.toString()} is neither inside the group nor one of its inputs.`);
    return name;
  };
  const functions = new Set<string>();
  const lines = nodes.flatMap((node, position) => {
    if (node.op?.lower.kind !== "elementwise") return [];
    if (node.op.lower.functions !== undefined) functions.add(node.op.lower.functions);
    return [`let t${position} = ${node.op.lower.expression(node.inputs.map(reference), node.attributes as never)};`];
  });
  return { lines, functions: [...functions].join("\n"), nameOf: reference };
}

/** What the nodes are called together. */
export function nameOf(nodes: readonly Node[]): string {
  const names = nodes.map((node) => node.op?.name ?? "");
  return names.length <= 4 ? names.join("+") : `${names.slice(0, 3).join("+")}+${names.length - 3} more`;
}

/** Floating point operations of all nodes. */
export function flopsOf({ nodes }: ElementwiseNodes): number {
  return nodes.reduce((flops, node) => flops + (node.op?.cost(node.inputs.map((t) => t.type), node.outputs.map((t) => t.type), node.attributes as never).flops ?? 0), 0);
}

/**
 * Float64 values of the nodes.
 * @param arrays the inputs, as `x0`, `x1`, ...
 */
export function evaluate({ nodes, inputs }: ElementwiseNodes, arrays: Arrays): (tensor: Tensor) => Float64Array {
  const values = new Map<Tensor, Float64Array>();
  inputs.forEach((input, position) => values.set(input, arrays[`x${position}`] ?? new Float64Array(0)));
  const valueOf = (tensor: Tensor): Float64Array => {
    const { source } = tensor.node;
    return source?.kind === "literal" ? Float64Array.of(source.value) : (values.get(tensor) ?? new Float64Array(0));
  };
  for (const node of nodes) {
    const results = node.op?.reference(node.inputs.map(valueOf), node.attributes as never, {
      inputs: node.inputs.map((input) => input.type),
      outputs: node.outputs.map((output) => output.type),
    });
    node.outputs.forEach((output, position) => values.set(output, results?.[position] ?? new Float64Array(0)));
  }
  return valueOf;
}
