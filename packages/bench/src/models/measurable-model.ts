import type { Library } from "../libraries/library.js";
import type { Measurable } from "../measurable.js";
import type { Case } from "../suites.js";
import { type ModelSize, studentOfSize, teacherOfSize } from "./tasks.js";
import { type ModelStep, trainingStep } from "./training-step.js";

/** A model's row before it is measured. */
export function modelCase(suite: "teacher" | "student", { preset, batch, agents, present = {} }: ModelSize): Case {
  const counts = Object.entries({ slots: agents, ...present }).flatMap(([name, count]) => (count === undefined ? [] : [` ${name}=${count}`]));
  return { suite, kernel: suite, form: preset, shape: `B=${batch}${counts.join("")}`, direction: "training step" };
}

/** A training step of teacher or distilled student and what it holds; only our own library has them. */
export async function openModel(library: Library, suite: "teacher" | "student", size: ModelSize): Promise<ModelStep | undefined> {
  const { device } = library;
  if (device === undefined) return undefined;
  const { task, release } = suite === "teacher" ? teacherOfSize(size) : studentOfSize(device, size);
  try {
    const step = await trainingStep(device, task);
    return {
      ...step,
      dispose: () => {
        step.dispose();
        release();
      },
    };
  } catch (cause) {
    release();
    throw cause;
  }
}

/** A model's training step as a row; the work is what the plan of our own program counts. */
export async function measurableModel(library: Library, suite: "teacher" | "student", size: ModelSize): Promise<Measurable | undefined> {
  const step = await openModel(library, suite, size);
  if (step === undefined) return undefined;
  const { launches, flops } = step.program.plan;
  const bytes = launches.reduce((sum, { kernel }) => sum + kernel.cost.bytes, 0);
  return {
    row: modelCase(suite, size),
    work: { flops, bytes },
    values: () => ({}),
    reference: () => step.reference(),
    prepare: (asked) => Promise.resolve(asked.name === library.name ? step : undefined),
  };
}
