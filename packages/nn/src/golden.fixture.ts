import { gradients, type Graph, initialValues, interpret, mul, sizeOf, sum, type Tensor, type Variable, variablesOf } from "@distilldrive/tensor";
import { type NpzArchive, readNpz, sharedPath } from "@distilldrive/testkit";
import { expect } from "vitest";

/** An archive of the golden folder, or null (with a printed reason) where it is absent. */
export function goldenArchive(name: string): NpzArchive | null {
  const path = sharedPath("golden", name);
  return path === null ? null : readNpz(path);
}

/** A golden array as a constant of the graph. */
export function constant(graph: Graph, archive: NpzArchive, name: string): Tensor {
  const { shape } = archive.get(name);
  return graph.constant(archive.get(name).numbers(), shape);
}

/** Values of a tree's variables: from the archive under `prefix`, else their first ones. */
export function variableValues(tree: unknown, archive: NpzArchive | null = null, prefix = ""): Map<Variable, ArrayLike<number>> {
  return new Map(
    [...variablesOf(tree)].map(([name, variable]) => [
      variable,
      archive?.has(prefix + name) ? archive.get(prefix + name).numbers() : initialValues(variable.init, sizeOf(variable.shape), 7, name),
    ]),
  );
}

/** Asserts that two arrays agree within `tolerance` of the largest expected magnitude. */
export function expectClose(actual: ArrayLike<number> | undefined, expected: ArrayLike<number>, tolerance: number, what: string): void {
  expect(actual?.length, `${what}: length`).toBe(expected.length);
  let [worst, largest] = [0, 1e-12];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual?.[i] ?? Number.NaN) - (expected[i] ?? 0));
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(expected[i] ?? 0));
  }
  expect(worst / largest, what).toBeLessThan(tolerance);
}

/**
 * Evaluates `y` and the gradients of sum(y * cotangent), and compares both with golden arrays.
 *
 * @param gradientsOf tensor or variable to the name of its golden gradient
 */
export function expectGolden(
  y: Tensor,
  archive: NpzArchive,
  names: { readonly y: string; readonly cotangent: string },
  gradientsOf: ReadonlyMap<Tensor | Variable, string>,
  variables: ReadonlyMap<Variable, ArrayLike<number>>,
): ReadonlyMap<Variable, Float64Array> {
  const { graph } = y;
  const wanted = [...gradientsOf.keys()];
  graph.output("y", y);
  gradients(sum(mul(y, constant(graph, archive, names.cotangent))), wanted).forEach((grad, index) => graph.output(`gradient ${index}`, grad));
  const { outputs, assigned } = interpret(graph, { variables });
  expectClose(outputs.get("y"), archive.get(names.y).numbers(), 1e-5, names.y);
  wanted.forEach((key, index) => {
    const name = gradientsOf.get(key) ?? "";
    expectClose(outputs.get(`gradient ${index}`), archive.get(name).numbers(), 2e-5, name);
  });
  return assigned;
}
