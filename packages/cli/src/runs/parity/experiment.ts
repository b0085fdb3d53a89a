import { add, gradients, Graph, mul, sum, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import type { NumpyArchive } from "@distilldrive/training";
import type { Backend } from "./backend.js";
import type { Pair, TensorKind } from "./compare.js";

/** How an expected tensor is compared. */
export interface Expectation {
  /** Default "activation". */
  readonly kind?: TensorKind;
  /** 1 where an element counts; default everywhere */
  readonly counts?: ArrayLike<number>;
  /** What it must be, where the array says it in another form; default the array's values */
  readonly values?: ArrayLike<number>;
}

/** A graph over the arrays of an archive, and what the archive says its tensors must be. */
export class Experiment {
  readonly graph = new Graph();
  readonly #variables = new Map<string, Variable>();
  readonly #values = new Map<string, ArrayLike<number>>();
  readonly #expected: (Expectation & { readonly output: string; readonly array: string })[] = [];
  #cotangent: Tensor | null = null;

  constructor(readonly archive: NumpyArchive) {}

  /** An array as a constant; whole numbers stay whole with `dtype` "i32". @param shape default that of the array */
  constant(array: string, shape?: readonly number[], dtype: "f32" | "i32" = "f32"): Tensor {
    const { values, shape: own } = this.archive.get(array);
    return this.graph.constant(values, shape ?? own, dtype);
  }

  /** Gives a tree's variables the values of the arrays `prefix` + name. */
  weights(tree: unknown, prefix: string): void {
    for (const [name, variable] of variablesOf(tree)) this.weight(variable, prefix + name);
  }

  /** Gives one variable the values of an array. */
  weight(variable: Variable, array: string): void {
    this.#variables.set(array, variable);
    this.#values.set(array, this.archive.get(array).values);
  }

  /** Says that a tensor must be an array. */
  expect(tensor: Tensor, array: string, options: Expectation = {}): void {
    const output = `expected ${this.#expected.length}`;
    this.graph.output(output, tensor);
    this.#expected.push({ ...options, output, array });
  }

  /** Adds sum(tensor * array) to the scalar whose gradients {@link gradients} compares; nothing where the archive lacks the array. */
  cotangent(tensor: Tensor, array: string): void {
    if (!this.archive.has(array)) return;
    const term = sum(mul(tensor, this.constant(array, tensor.shape)));
    this.#cotangent = this.#cotangent ? add(this.#cotangent, term) : term;
  }

  /** Says what the gradients of a scalar, default that of the cotangents, must be. Arrays the archive lacks are left out. */
  gradients(wanted: ReadonlyMap<Tensor | Variable, string>, of: Tensor | null = this.#cotangent): void {
    const known = [...wanted].filter(([, array]) => this.archive.has(array));
    if (!of) return;
    gradients(of, known.map(([key]) => key)).forEach((gradient, i) => {
      const [, array] = known[i] ?? [];
      if (array !== undefined) this.expect(gradient, array, { kind: "gradient" });
    });
  }

  /** {@link gradients} of all parameters of a tree, the arrays being `prefix` + name, and of the tensors given. */
  treeGradients(tree: unknown, prefix: string, more: ReadonlyMap<Tensor | Variable, string> = new Map(), of?: Tensor): void {
    const wanted = new Map<Tensor | Variable, string>(more);
    for (const [name, variable] of variablesOf(tree)) if (variable.role === "parameter") wanted.set(variable, prefix + name);
    this.gradients(wanted, of ?? this.#cotangent);
  }

  /** Runs the graph once. @param after compares values the run assigned: array to the array the variable was given by {@link weight} */
  async run(backend: Backend, after: ReadonlyMap<string, string> = new Map()): Promise<Pair[]> {
    const session = await backend.open(this.graph, this.#variables, this.#values);
    try {
      const results = await session.step({});
      const pairs = this.#expected.map(({ output, array, kind = "activation", counts, values }): Pair => ({
        name: array,
        kind,
        actual: results.get(output) ?? [],
        expected: values ?? this.archive.get(array).values,
        ...(counts ? { counts } : {}),
      }));
      for (const [array, variable] of after) pairs.push({ name: array, kind: "activation", actual: await session.valueOf(variable), expected: this.archive.get(array).values });
      return pairs;
    } finally {
      session.close();
    }
  }
}
