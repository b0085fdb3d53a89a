import { anchorsOfState, matchTeacher, PUBLISHED_STAGE_2, PUBLISHED_TEACHER, type TeacherConfig, teacherSizesOf } from "@distilldrive/teacher";
import type { StoredTensor } from "@distilldrive/tensor";
import { type NumpyArchive, requireMatch } from "@distilldrive/training";
import { RunError } from "../../errors.js";
import type { Backend } from "./backend.js";
import { absent, compareAll, type Comparison, type Pair } from "./compare.js";
import { type NotCompared, notCompared } from "./not-compared.js";
import { recordedFrames, teacherFrames } from "./teacher-frames.js";
import { traceTeacher } from "./teacher-graph.js";
import { type Found, frameValue, kindOf, type Results, stepValue } from "./teacher-values.js";

/** Files of one recorded teacher run. */
export interface TeacherSet {
  /** The state dict, under its published names. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly inputs: NumpyArchive;
  /** What was recorded: values of frames (`frame3.`), losses and gradients of one frame, running statistics after a frame. */
  readonly expected: NumpyArchive;
  /** Whether batch norm trained while it was recorded. */
  readonly training: boolean;
  /** The configuration the published stage 2 runs its teacher in (fact T2). */
  readonly stage2: boolean;
  /** Whether the map mask is read as intended; otherwise as coded (fact T1). */
  readonly mapVisible: boolean;
  /** Names of the parameters behind `gradstat.*`; null where they are not given: in the order of the state dict. */
  readonly gradientNames: readonly string[] | null;
  /** Slots, which leave no trace in a state dict; from what was recorded. */
  readonly slots: {
    readonly agents: number;
    /** Several where they were not recorded: to be tried in turn. */
    readonly lines: readonly number[];
    /** T; null where it was not recorded: as published. */
    readonly memoryFrames: number | null;
  };
}

/** What a set gives. */
export interface TeacherComparison {
  readonly comparisons: readonly Comparison[];
  readonly left: readonly NotCompared[];
}

/** Frame the losses and gradients without a frame's name were recorded at. */
const STEP_FRAME = 1;
const OF_FRAME = /^frame(\d+)\.(.*)$/;
const AFTER_FRAME = /^running_after_frame(\d+)\.(.*running_(?:mean|var))$/;
const OF_STEP = /^(?:loss\.|loss_total$|target\.|grad(?:all|stat)?\.)/;

/** The configuration of a recorded teacher: sizes from its weights, behaviour from the set. */
export function teacherConfigOf({ weights, stage2, mapVisible, slots }: Pick<TeacherSet, "weights" | "stage2" | "mapVisible" | "slots">, lines = slots.lines[0] ?? 1): TeacherConfig {
  return {
    ...PUBLISHED_TEACHER,
    ...teacherSizesOf(weights),
    maxAgents: slots.agents,
    maxLines: lines,
    ...(slots.memoryFrames === null ? {} : { memoryFrames: slots.memoryFrames }),
    mapSlots: mapVisible ? "lines" : "padding",
    ...(stage2 ? PUBLISHED_STAGE_2 : {}),
  };
}

/** What of a set is asked of which frame. */
interface Wanted {
  /** Frames to run. */
  readonly frames: number;
  /** Frame of the losses and gradients. */
  readonly step: number;
  readonly gradients: boolean;
}

function wantedOf(expected: NumpyArchive, inputs: NumpyArchive): Wanted {
  const given = recordedFrames(inputs);
  if (given === 0) throw new RunError("parity: the inputs have no frames, expected arrays such as frame0.timestamp. Record them again.");
  const step = Math.min(STEP_FRAME, given - 1);
  const last = Math.max(-1, ...expected.names.map((name) => (OF_STEP.test(name) ? step : Number((OF_FRAME.exec(name) ?? AFTER_FRAME.exec(name))?.[1] ?? -1))));
  if (last >= given) throw new RunError(`parity: the set has values of frame ${last}, expected inputs up to it, got inputs of ${given} frames. Record them together.`);
  return { frames: last + 1, step, gradients: expected.names.some((name) => /^grad(?:all|stat)?\./.test(name)) };
}

/** Runs a recorded teacher and compares what it gives with what was recorded. */
export async function runTeacher(set: TeacherSet, backend: Backend): Promise<TeacherComparison> {
  let first: TeacherComparison | null = null;
  for (const lines of set.slots.lines) {
    const result = await runWith(set, lines, backend);
    if (result.comparisons.every(({ ok }) => ok)) return result;
    first ??= result;
  }
  return first ?? { comparisons: [], left: [] };
}

async function runWith(set: TeacherSet, lines: number, backend: Backend): Promise<TeacherComparison> {
  const { weights, inputs, expected, training } = set;
  const config = teacherConfigOf(set, lines);
  const { frames, step, gradients } = wantedOf(expected, inputs);
  const lanes = inputs.get("frame0.timestamp").shape[0] ?? 0;
  const anchors = anchorsOfState(weights, "parity");
  const { graph, variables, teacher } = traceTeacher({ config, lanes, training, gradients, anchors });
  const match = matchTeacher(teacher, weights);
  requireMatch({ ...match, unexpected: [] }, "parity", "the teacher", "The set is of another model.");
  const values = new Map([...match.values].map(([name, { data }]) => [name, data] as const));
  const gradientNames = set.gradientNames ?? [...weights.keys()].filter((name) => variables.get(name)?.role === "parameter");
  const fields = teacherFrames(inputs, { lanes, agents: config.maxAgents, lines: config.maxLines, frames });
  const pairs = new Map<string, readonly Pair[]>();
  const compare = (name: string, found: Found | readonly Pair[] | null): void => {
    if (found) pairs.set(name, Array.isArray(found) ? found : [{ name, ...(found as Found) }]);
  };
  const session = await backend.open(graph, variables, values);
  try {
    for (const [frame, inputsOfFrame] of fields.entries()) {
      const results: Results = await session.step(inputsOfFrame);
      for (const name of expected.names) {
        const [, of, own] = OF_FRAME.exec(name) ?? [];
        const [, after, statistic] = AFTER_FRAME.exec(name) ?? [];
        if (own !== undefined && Number(of) === frame) compare(name, frameValue(own, expected, name, results, config));
        else if (statistic !== undefined && Number(after) === frame) compare(name, { kind: "activation", actual: await session.valueOf(statistic), expected: expected.get(name).values });
        else if (OF_STEP.test(name) && frame === step) compare(name, stepValue(name, expected, results, config, gradientNames));
      }
    }
  } finally {
    session.close();
  }
  const missing = expected.names.filter((name) => !pairs.has(name));
  const [wrong, left] = [missing.filter((name) => kindOf(name) !== null), missing.filter((name) => kindOf(name) === null)];
  return {
    comparisons: [...compareAll([...pairs.values()].flat()), ...wrong.map((name) => absent(name, kindOf(name) ?? "activation", "the model here has no such value"))],
    left: [...notCompared("teacher", left), ...match.unexpected.map((name) => ({ name: `weight ${name}`, reason: "unknown: the model here has no such parameter" }))],
  };
}
