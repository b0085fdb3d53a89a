import { BenchError } from "./errors.js";
import type { Library } from "./libraries/library.js";
import { measurableBlock, measurableKernel, type Measurable, standardBlock } from "./measurable.js";
import { measurableModel } from "./models/measurable-model.js";
import type { ModelSize, Present, presetNames } from "./models/tasks.js";
import { nameOf } from "./contest.js";
import type { BlockProblem } from "./problems/block.js";
import type { Direction, KernelName, Problem } from "./problems/problem.js";
import { kernelCase, kernelCases, type KernelCase, suiteNames, type SuiteName } from "./suites.js";

/** What is measured; plain data, so that another process can be told. */
export interface PlanOptions {
  /** A suite, or the name of one kernel of the suite `kernels`. Default "kernels". */
  readonly suite?: SuiteName | KernelName;
  /** Problems instead of the suite's. */
  readonly problems?: readonly Problem[];
  /** Default: as the suite has it. */
  readonly directions?: readonly Direction[];
  /** Only rows whose name ("matmul NN [168,256]x[256,512] forward") contains this. */
  readonly only?: string;
  /** Size of the block instead of the suite's. */
  readonly block?: BlockProblem;
  /** Size of teacher or student. Default "tiny". */
  readonly preset?: (typeof presetNames)[number];
  /** Lanes of teacher or student. Default 8. */
  readonly batch?: number;
  /** Agents and lines in every sample of the teacher's batch. Default what the town's scenes have. */
  readonly present?: Present;
}

/** The size of teacher or student that is asked for. */
export function modelSizeOf({ preset = "tiny", batch = 8, present }: PlanOptions): ModelSize {
  return { preset, batch, ...(present && { present }) };
}

/** The suite that `options.suite` belongs to. @throws BenchError for an unknown name */
export function suiteOf({ suite = "kernels" }: PlanOptions): SuiteName {
  if ((suiteNames as readonly string[]).includes(suite)) return suite as SuiteName;
  if (kernelCases().some(({ kernel }) => kernel === suite)) return "kernels";
  const kernels = [...new Set(kernelCases().map(({ kernel }) => kernel))];
  throw new BenchError(`bench: unknown suite "${suite}", expected one of ${[...suiteNames, ...kernels].join(", ")}.`);
}

/** The rows of the suite `kernels` that are asked for. */
export function plannedKernels({ suite = "kernels", problems, directions, only = "" }: PlanOptions): KernelCase[] {
  const all = problems ? problems.flatMap((problem) => (directions ?? ["forward" as const]).map((direction) => kernelCase(problem, direction))) : kernelCases();
  return all.filter((row) => (suite === "kernels" || row.kernel === suite) && (directions ?? [row.direction]).includes(row.direction) && nameOf(row).includes(only));
}

/** Everything that is asked for, ready to be measured. @param own our library, for models that only it has */
export async function measurables(options: PlanOptions, own: Library): Promise<Measurable[]> {
  const suite = suiteOf(options);
  switch (suite) {
    case "kernels":
      return plannedKernels(options).map(measurableKernel);
    case "block":
      return [measurableBlock(options.block ?? standardBlock)];
    case "teacher":
    case "student": {
      const model = await measurableModel(own, suite, modelSizeOf(options));
      return model ? [model] : [];
    }
  }
}
