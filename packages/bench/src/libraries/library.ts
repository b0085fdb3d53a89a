import type { Device } from "@distilldrive/tensor";
import type { BlockProblem } from "../problems/block.js";
import type { Direction, Problem, Values } from "../problems/problem.js";

/** Work that a library has set up: its data is on its device, its code is compiled at the first launch. */
export interface Prepared {
  /** Starts the work once; may return before it is done. */
  launch(): void;
  /** Resolves when everything launched has been computed. */
  settle(): Promise<void>;
  /** Results of the latest launch by tensor name, in the layouts of the problem. */
  read(): Promise<Values>;
  dispose(): void;
}

/** A library opened on the adapter. */
export interface Library {
  /** As in the table: "distilldrive", "tfjs", ... */
  readonly name: string;
  readonly version: string;
  /** What readers of its rows should know, e.g. that it runs on the CPU. */
  readonly remark?: string;
  /** The device of our own library, for whole models, which no peer has. */
  readonly device?: Device;
  /** @returns undefined when the library does not offer the operation */
  prepare(problem: Problem, direction: Direction, values: Values): Promise<Prepared | undefined>;
  /** A training step of a transformer block; results are `loss` and, after the first launch, the first moments `m.<parameter>`. */
  prepareBlock?(problem: BlockProblem, values: Values): Promise<Prepared>;
}
