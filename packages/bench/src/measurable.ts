import type { Library, Prepared } from "./libraries/library.js";
import { type BlockProblem, blockInputs, blockReference, blockWork } from "./problems/block.js";
import { definitionOf, fillAll, referenceOf, valuesOf, workOf } from "./problems/index.js";
import type { Reference, Values, Work } from "./problems/problem.js";
import type { Case, KernelCase } from "./suites.js";

/** A row that can be measured: what it computes, and how a library is asked to. */
export interface Measurable {
  readonly row: Case;
  readonly work: Work;
  values(): Values;
  /** Float64 results that every library must agree with before it is timed. */
  reference(values: Values): Reference;
  /** @returns undefined when the library does not offer it */
  prepare(library: Library, values: Values): Promise<Prepared | undefined>;
}

/** A row of the suite `kernels`. */
export function measurableKernel(row: KernelCase): Measurable {
  const definition = definitionOf(row.problem);
  return {
    row,
    work: workOf(definition, row.direction),
    values: () => valuesOf(definition),
    reference: (values) => referenceOf(definition, row.direction, values),
    prepare: (library, values) => library.prepare(row.problem, row.direction, values),
  };
}

/** The block of the suite `block`. */
export const standardBlock: BlockProblem = { batch: 8, tokens: 168, width: 256, heads: 8, hidden: 512 };

/** The row of a block's training step. */
export function blockCase({ batch, tokens, width, heads, hidden }: BlockProblem): Case {
  return { suite: "block", kernel: "block", form: "pre-norm", shape: `B=${batch} N=${tokens} D=${width} H=${heads} FFN=${hidden}`, direction: "training step" };
}

/** A block's training step: forward, backward, AdamW. */
export function measurableBlock(problem: BlockProblem): Measurable {
  return {
    row: blockCase(problem),
    work: blockWork(problem),
    values: () => fillAll(blockInputs(problem)),
    reference: (values) => blockReference(problem, values),
    prepare: async (library, values) => library.prepareBlock?.(problem, values),
  };
}
