import { compile, createStore, type Device, Graph, initialValues, interpret, planProgram, type Program, randomKey, sizeOf, type Tensor, variablesOf } from "@distilldrive/tensor";
import { keyInput, optimizerSchema, scalarInput, type Slots, stepScalars, type Task, traceTraining } from "@distilldrive/training";
import type { Prepared } from "../libraries/library.js";
import type { StepWork, Work } from "../step-details.js";
import type { Reference } from "../problems/problem.js";

const seed = 1;
const totalSteps = 1000;

/** A model's training step, ready to run on one batch again and again. */
export interface ModelStep extends Prepared {
  readonly program: Program;
  /** Bytes on the device: intermediates, variables, inputs, outputs. */
  readonly deviceBytes: number;
  /** What is computed, and what would be without the savings; plans without running. */
  work(): StepWork;
  /** The loss of the first step in float64. */
  reference(): Reference;
}

/** Traces a task as `fit` does and compiles its step: forward, backward, clipping, AdamW and log in one submit. */
export async function trainingStep(device: Device, task: Task): Promise<ModelStep> {
  const { inputs, slots = {} } = await task.batches.next();
  const config = optimizerSchema.parse({});
  const withLoss: Task = {
    ...task,
    trace: (graph, key, cut) => {
      const traced = task.trace(graph, key, cut);
      graph.output("loss", traced.loss);
      return traced;
    },
  };
  const { graph, graphFor, variables, packs } = traceTraining(withLoss, config, 64);
  const store = createStore(device, variables, { seed, packs });
  const frozen = task.frozen;
  if (frozen) store.load(new Map([...frozen.values].map(([name, value]) => [`frozen.${name}`, value])));
  const program = await compile(device, Object.keys(slots).length === 0 ? graph : graphFor(slots), { store });
  const known = (step: number): Record<string, ArrayLike<number>> => ({ ...inputs, [keyInput]: randomKey(seed, step), [scalarInput]: stepScalars(config, step, totalSteps) });
  // What else the step is told, such as the row of the log, is zero.
  const all = (step: number): Record<string, ArrayLike<number>> => {
    const given = known(step);
    return Object.fromEntries(program.plan.inputs.map(({ name, storage }) => [name, given[name] ?? new Float32Array(storage.length)]));
  };
  const { target } = device;
  // Recomputation is no part of the work, so nothing that is saved is counted twice.
  const flopsOf = (counted: Graph): number => planProgram(counted, target, { recomputeAbove: Infinity }).flops;
  const forwardOf = (cut: Slots, dropDeadRows = true): Graph => {
    const forward = new Graph({ dropDeadRows });
    withLoss.trace(forward, forward.input(keyInput, [4], "u32"), cut);
    return forward;
  };
  const workOf = (cut: Slots, dropDeadRows = true): Work => ({
    step: flopsOf(traceTraining(withLoss, config, 64, undefined, { dropDeadRows }).graphFor(cut)),
    forward: flopsOf(forwardOf(cut, dropDeadRows)),
  });
  let step = 0;
  return {
    program,
    deviceBytes: program.bytes + store.bytes,
    work: () => ({ slots, computed: { step: program.plan.flops, forward: flopsOf(forwardOf(slots)) }, allSlots: workOf({}), allRows: workOf({}, false) }),
    launch: () => {
      program.run(all(step++));
    },
    settle: async () => {
      await device.gpu.queue.onSubmittedWorkDone();
    },
    read: async () => ({ loss: Float32Array.from(await program.read("loss")) }),
    dispose: () => {
      program.destroy();
      store.destroy();
    },
    reference: () => {
      const forward = new Graph();
      const { loss }: { loss: Tensor } = task.trace(forward, forward.input(keyInput, [4], "u32"), slots);
      const values = new Map([...variables].map(([name, variable]) => [variable, initialValues(variable.init, sizeOf(variable.shape), seed, name)] as const));
      if (frozen) for (const [name, variable] of variablesOf(frozen.model)) values.set(variable, frozen.values.get(name)?.data ?? []);
      return { loss: interpret(forward, { inputs: known(0), variables: values }, [loss]).valueOf(loss) };
    },
  };
}
