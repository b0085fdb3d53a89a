import { type DType, DTypeError, ShapeError } from "@distilldrive/kernels";
import { GraphError } from "./errors.js";
import type { AnyOp, OpDefinition } from "./op.js";
import { formatType, sameShape, type Shape, type TensorType, typeOf } from "./shape.js";
import { Variable } from "./variable.js";

/** Where the value of a source node comes from. */
export type Source =
  /** Written by the host before every run. */
  | { readonly kind: "input"; readonly name: string }
  /** Lives on the device between runs. */
  | { readonly kind: "variable"; readonly variable: Variable }
  /** Fixed when the graph is built. */
  | { readonly kind: "constant"; readonly data: ArrayLike<number> }
  /** A number, inlined into the kernels that use it. */
  | { readonly kind: "literal"; readonly value: number };

/** One step of a graph: a source, or an op applied to tensors. */
export interface Node {
  readonly id: number;
  readonly source: Source | null;
  readonly op: AnyOp | null;
  readonly inputs: readonly Tensor[];
  readonly attributes: object;
  readonly outputs: readonly Tensor[];
  /** Path of the model blocks the node was traced in, e.g. `planner/layers.0`. */
  readonly scope: string;
}

/** A symbolic tensor: one output of one node. Its values exist only when the graph runs. */
export class Tensor {
  constructor(
    readonly graph: Graph,
    readonly node: Node,
    readonly index: number,
    readonly type: TensorType,
  ) {}

  get shape(): Shape {
    return this.type.shape;
  }

  get dtype(): DType {
    return this.type.dtype;
  }

  /** Size of an axis; negative axes count from the end. */
  at(axis: number): number {
    const size = this.type.shape.at(axis);
    if (size === undefined) {
      throw new GraphError(`tensor: axis ${axis} does not exist, expected one of the ${this.shape.length} axes of ${formatType(this.type)}.`);
    }
    return size;
  }

  /** Name in the printed graph: `%12` or `%12.1`. */
  toString(): string {
    return this.node.outputs.length > 1 ? `%${this.node.id}.${this.index}` : `%${this.node.id}`;
  }
}

/** What op functions accept: a traced tensor, a variable (looked up in the graph of the other operands), or a number. */
export type Operand = Tensor | Variable | number;

/** How a graph is rewritten. */
export interface GraphOptions {
  /** false: rows that nobody reads are computed all the same, to count what leaving them out saves. Default true. */
  readonly dropDeadRows?: boolean;
}

/** A traced computation: nodes in execution order, named outputs, and variables to overwrite at the end of a run. */
export class Graph {
  /** Whether only the rows are computed that somebody reads. */
  readonly dropsDeadRows: boolean;
  readonly nodes: Node[] = [];
  readonly outputs = new Map<string, Tensor>();
  readonly assignments: { readonly target: Tensor; readonly value: Tensor }[] = [];
  readonly #variables = new Map<Variable, Tensor>();
  readonly #literals = new Map<number, Tensor>();
  readonly #inputs = new Map<string, Tensor>();
  readonly #replaced = new Map<Tensor, Tensor>();
  #scope = "";
  #randomOps = 0;

  constructor({ dropDeadRows = true }: GraphOptions = {}) {
    this.dropsDeadRows = dropDeadRows;
  }

  /**
   * A tensor the host writes before every run.
   * @throws GraphError when the name is taken by another type; ShapeError, DTypeError when the type is none
   */
  input(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
    const known = this.#inputs.get(name);
    if (known) {
      if (known.dtype === dtype && sameShape(known.shape, shape)) return known;
      throw new GraphError(
        `graph: input "${name}" exists with another type, expected ${formatType(known.type)}, got ${formatType(typeOf(shape, dtype))}. Choose another name.`,
      );
    }
    requireType(`graph: input "${name}"`, shape, dtype);
    const tensor = this.#source({ kind: "input", name }, typeOf(shape, dtype));
    this.#inputs.set(name, tensor);
    return tensor;
  }

  /** The value a variable has at the beginning of the run. */
  variable(variable: Variable): Tensor {
    let tensor = this.#variables.get(variable);
    if (!tensor) {
      tensor = this.#source({ kind: "variable", variable }, typeOf(variable.shape, variable.dtype));
      this.#variables.set(variable, tensor);
    }
    return tensor;
  }

  /** The tensor of a variable the graph already uses. */
  variableTensor(variable: Variable): Tensor | undefined {
    return this.#variables.get(variable);
  }

  /** A scalar inlined into the kernels that use it. */
  literal(value: number): Tensor {
    let tensor = this.#literals.get(value);
    if (!tensor) {
      tensor = this.#source({ kind: "literal", value }, typeOf([]));
      this.#literals.set(value, tensor);
    }
    return tensor;
  }

  /** An array fixed at trace time and uploaded once. */
  constant(data: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
    if (data.length !== shape.reduce((a, b) => a * b, 1)) {
      throw new GraphError(`constant: data does not fill the shape, expected ${shape.join(" x ")} numbers, got ${data.length}.`);
    }
    return this.#source({ kind: "constant", data }, typeOf(shape, dtype));
  }

  /** Turns an operand into a tensor of this graph. */
  lift(operand: Operand): Tensor {
    if (typeof operand === "number") return this.literal(operand);
    if (operand instanceof Variable) return this.variable(operand);
    if (operand.graph !== this) {
      throw new GraphError(`graph: ${operand.toString()} belongs to another graph. Pass it in as an input or a variable.`);
    }
    return this.resolve(operand);
  }

  /** The tensor that stands for another since {@link Graph.replace}; itself where it was not replaced. */
  resolve(tensor: Tensor): Tensor {
    let current = tensor;
    for (let next = this.#replaced.get(current); next; next = this.#replaced.get(current)) current = next;
    return current;
  }

  /**
   * From now on `now` stands for `old`: in outputs, in assignments and in ops to come. Both must have the same value; nodes
   * that read `old` already keep it.
   * @throws GraphError when the types differ
   */
  replace(old: Tensor, now: Tensor): void {
    if (!sameShape(old.shape, now.shape) || old.dtype !== now.dtype) {
      throw new GraphError(`replace: ${now.toString()} does not fit ${old.toString()}, expected ${formatType(old.type)}, got ${formatType(now.type)}.`);
    }
    if (this.resolve(now) === old) return;
    this.#replaced.set(old, now);
    for (const [name, value] of this.outputs) this.outputs.set(name, this.resolve(value));
    this.mapAssignments((_, value) => this.resolve(value));
  }

  /** Whether another tensor stands for this one. */
  isReplaced(tensor: Tensor): boolean {
    return this.#replaced.has(tensor);
  }

  /** Appends a node of this or another graph again, with other inputs (of this graph). */
  copy(node: Node, inputs: readonly Tensor[]): readonly Tensor[] {
    const { source, op } = node;
    const [first] = node.outputs;
    if (op) return this.#append(null, op, inputs, node.attributes, node.outputs.map(({ type }) => type)).outputs;
    if (!source || !first) throw new GraphError(`graph: ${formatNode(node)} has neither an op nor a source.`);
    if (source.kind === "input") return [this.input(source.name, first.shape, first.dtype)];
    if (source.kind === "variable") return [this.variable(source.variable)];
    if (source.kind === "literal") return [this.literal(source.value)];
    return [this.#source(source, first.type)];
  }

  /** Appends an op. @throws what the op's shape rule throws */
  apply<Attributes extends object>(op: OpDefinition<Attributes>, operands: readonly Operand[], attributes: Attributes): readonly Tensor[] {
    const inputs = operands.map((operand) => this.lift(operand));
    const types = op.shape(
      inputs.map((input) => input.type),
      attributes,
    );
    return this.#append(null, op as unknown as AnyOp, inputs, attributes, types).outputs;
  }

  /** Names a result, so that the host can read it after a run. */
  output(name: string, value: Tensor): void {
    this.outputs.set(name, this.lift(value));
  }

  /** At the end of the run `variable` takes `value`; within the run it still reads as before. */
  assign(variable: Variable, value: Tensor): void {
    const target = this.variable(variable);
    if (!sameShape(variable.shape, value.shape) || variable.dtype !== value.dtype) {
      throw new GraphError(
        `assign: value does not fit the variable, expected ${formatType(target.type)}, got ${formatType(value.type)}.`,
      );
    }
    if (this.assignments.some((assignment) => assignment.target === target)) {
      throw new GraphError(`assign: ${target.toString()} is assigned twice in one graph. Combine the two values first.`);
    }
    this.assignments.push({ target, value });
  }

  /** Replaces the value of every assignment made so far, e.g. to keep the old one under a condition. */
  mapAssignments(change: (old: Tensor, value: Tensor) => Tensor): void {
    const changed = this.assignments.map(({ target, value }) => ({ target, value: change(target, value) }));
    this.assignments.splice(0, this.assignments.length, ...changed);
  }

  /** Runs `body` with `name` appended to the scope of the nodes it traces. */
  scope<Result>(name: string, body: () => Result): Result {
    const outer = this.#scope;
    this.#scope = outer === "" ? name : `${outer}/${name}`;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** Runs `body` with the scope of another node, whatever the current one is. */
  inScopeOf<Result>(node: Node, body: () => Result): Result {
    const outer = this.#scope;
    this.#scope = node.scope;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** A number no other random op of this graph has; with the run's key it selects the op's random stream. */
  nextRandomOp(): number {
    return this.#randomOps++;
  }

  /** The graph as text, one node a line. */
  toString(): string {
    const lines = this.nodes.map((node) => formatNode(node));
    for (const { target, value } of this.assignments) lines.push(`assign ${target.toString()} <- ${value.toString()}`);
    for (const [name, value] of this.outputs) lines.push(`return ${name} = ${value.toString()}`);
    return lines.join("\n");
  }

  #source(source: Source, type: TensorType): Tensor {
    const [tensor] = this.#append(source, null, [], {}, [type]).outputs;
    if (!tensor) throw new GraphError("graph: a source node has one output.");
    return tensor;
  }

  #append(source: Source | null, op: AnyOp | null, inputs: readonly Tensor[], attributes: object, types: readonly TensorType[]): Node {
    const outputs: Tensor[] = [];
    const node: Node = { id: this.nodes.length, source, op, inputs, attributes, outputs, scope: this.#scope };
    types.forEach((type, index) => outputs.push(new Tensor(this, node, index, type)));
    this.nodes.push(node);
    return node;
  }
}

/** `%3 = add(%1, %2) : f32[2, 3]`. */
export function formatNode(node: Node): string {
  const types = node.outputs.map((output) => formatType(output.type)).join(", ");
  const attributes = Object.entries(node.attributes).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  if (node.source) {
    const { source } = node;
    const detail =
      source.kind === "input" ? `"${source.name}"` : source.kind === "literal" ? String(source.value) : source.kind === "variable" ? source.variable.role : "";
    return `%${node.id} = ${source.kind}(${detail}) : ${types}`;
  }
  const operands = [...node.inputs.map((input) => input.toString()), ...attributes].join(", ");
  return `%${node.id} = ${node.op?.name ?? ""}(${operands}) : ${types}${node.scope === "" ? "" : `  # ${node.scope}`}`;
}

/** The graph the operands live in. @throws GraphError when none of them is a traced tensor */
export function graphOf(where: string, operands: readonly Operand[]): Graph {
  for (const operand of operands) if (operand instanceof Tensor) return operand.graph;
  throw new GraphError(
    `${where}: no operand is a traced tensor, expected at least one. Bring a variable into the graph with graph.variable(...).`,
  );
}

/** Applies a one-output op in the graph its operands live in. */
export function applyOp<Attributes extends object>(op: OpDefinition<Attributes>, operands: readonly Operand[], attributes: Attributes): Tensor {
  const [first] = graphOf(op.name, operands).apply(op, operands, attributes);
  if (!first) throw new GraphError(`${op.name}: the op has no output.`);
  return first;
}

const dtypes: readonly string[] = ["f32", "i32", "u32"] satisfies DType[];

/** What comes from outside may be typed by hand, or not at all. */
function requireType(where: string, shape: Shape, dtype: string): void {
  if (!dtypes.includes(dtype)) throw new DTypeError(`${where} has an unknown dtype, expected ${dtypes.join(", ")}, got ${dtype}. Half precision is a matter of storage: compile with { precision: "mixed" }.`);
  const bad = shape.findIndex((size) => !Number.isInteger(size) || size < 0);
  if (bad >= 0) throw new ShapeError(`${where} has a bad size on axis ${bad}, expected a whole number >= 0, got ${shape[bad]} in [${shape.join(", ")}].`);
}
