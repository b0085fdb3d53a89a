import { GraphError } from "./errors.js";
import type { Graph, Tensor } from "./graph.js";
import { formatNode } from "./graph.js";
import { formatType, sizeOf } from "./shape.js";
import { packedLength, type Variable } from "./variable.js";

/** Values the interpreter starts from. */
export interface Bindings {
  /** By input name. */
  readonly inputs?: Readonly<Record<string, ArrayLike<number>>>;
  readonly variables?: ReadonlyMap<Variable, ArrayLike<number>>;
}

/** What the interpreter computed, all in float64. */
export interface Interpretation {
  readonly outputs: ReadonlyMap<string, Float64Array>;
  /** New values of assigned variables. */
  readonly assigned: ReadonlyMap<Variable, Float64Array>;
  /** The value of any tensor of the graph the outputs depend on. @throws GraphError for one they do not */
  valueOf(tensor: Tensor): Float64Array;
}

/**
 * Runs a graph node by node with each op's float64 reference: the yardstick of every kernel, and the debugger.
 * @param keep further tensors to evaluate besides outputs and assignments
 * @throws GraphError when an input or variable is missing or has the wrong size
 */
export function interpret(graph: Graph, bindings: Bindings = {}, keep: readonly Tensor[] = []): Interpretation {
  const values = new Map<Tensor, Float64Array>();
  const wanted = [...keep.map((tensor) => graph.resolve(tensor)), ...graph.outputs.values(), ...graph.assignments.map(({ value }) => value)];
  const needed = new Set(wanted.map((tensor) => tensor.node));
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id];
    if (node && needed.has(node)) for (const input of node.inputs) needed.add(input.node);
  }
  const valueOf = (tensor: Tensor): Float64Array => {
    const value = values.get(tensor);
    if (!value) throw new GraphError(`interpret: ${tensor.toString()} was not computed. List it in keep.`);
    return value;
  };
  for (const node of graph.nodes) {
    if (!needed.has(node)) continue;
    const [first] = node.outputs;
    if (node.source) {
      if (!first) continue;
      const { source } = node;
      const data =
        source.kind === "literal"
          ? [source.value]
          : source.kind === "constant"
            ? source.data
            : source.kind === "input"
              ? bindings.inputs?.[source.name]
              : valueOfVariable(source.variable, bindings.variables);
      if (data?.length !== sizeOf(first.shape)) {
        throw new GraphError(
          `interpret: ${formatNode(node)} has no fitting value, expected ${formatType(first.type)}, got ${data ? `${data.length} numbers` : "nothing"}.`,
        );
      }
      values.set(first, Float64Array.from(data));
      continue;
    }
    const results = node.op?.reference(node.inputs.map(valueOf), node.attributes as never, {
      inputs: node.inputs.map((input) => input.type),
      outputs: node.outputs.map((output) => output.type),
    });
    node.outputs.forEach((output, position) => {
      const result = results?.[position];
      if (result?.length !== sizeOf(output.shape)) {
        throw new GraphError(`${node.op?.name ?? "op"}: the reference returned ${result?.length ?? 0} numbers for output ${position}, expected ${formatType(output.type)}.`);
      }
      values.set(output, result);
    });
  }
  return {
    outputs: new Map([...graph.outputs].map(([name, tensor]) => [name, valueOf(tensor)])),
    assigned: new Map(
      graph.assignments.flatMap(({ target, value }) =>
        target.node.source?.kind === "variable" ? [[target.node.source.variable, valueOf(value)] as const] : [],
      ),
    ),
    valueOf: (tensor) => valueOf(graph.resolve(tensor)),
  };
}

/** A variable's value; a packed one is put together from its parts where it is not given itself. */
function valueOfVariable(variable: Variable, values: Bindings["variables"]): ArrayLike<number> | undefined {
  const given = values?.get(variable);
  if (given !== undefined || variable.parts.length === 0) return given;
  const whole = new Float64Array(sizeOf(variable.shape));
  let offset = 0;
  for (const part of variable.parts) {
    const value = values?.get(part);
    if (!value) return undefined;
    whole.set(Float64Array.from(value), offset);
    offset += packedLength(part.shape);
  }
  return whole;
}
