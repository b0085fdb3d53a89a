import { initialValues, sizeOf, type Variable, variablesOf } from "@distilldrive/tensor";
import { type NpzArchive, readNpz, sharedPath } from "@distilldrive/testkit";
import { TEACHER_COMPAT, TEACHER_PRESETS, type TeacherConfig } from "./config.js";

/** Lanes, agent slots and line slots of the golden teacher. */
export const GOLDEN = { lanes: 2, agents: 20, lines: 8 } as const;

/** The published stage-0 teacher at width 64. */
export const GOLDEN_CONFIG: TeacherConfig = {
  ...TEACHER_PRESETS.full,
  channels: 64,
  heads: 8,
  maxAgents: GOLDEN.agents,
  maxLines: GOLDEN.lines,
  ...TEACHER_COMPAT.published,
  // The `_maskfix` sets.
  mapSlots: "lines",
};

/** An archive of the golden folder, or null (with a printed reason) where it is absent. */
export function goldenArchive(name: string): NpzArchive | null {
  const path = sharedPath("golden", name);
  return path === null ? null : readNpz(path);
}

/** The golden frames as stream batches, by graph input name. */
export function goldenFrames(archive: NpzArchive, count: number): Record<string, Float64Array>[] {
  const { lanes, agents, lines } = GOLDEN;
  const previous = Array.from({ length: lanes }, () => ({ ids: [] as number[], time: 0 }));
  return Array.from({ length: count }, (_, frame) => {
    const whole = (name: string): Float64Array => archive.get(`frame${frame}.${name}`).numbers();
    const fields = {
      boxes: new Float64Array(lanes * agents * 9),
      labels: new Float64Array(lanes * agents),
      agentMask: new Float64Array(lanes * agents),
      futureDisplacement: new Float64Array(lanes * agents * 24),
      futureMask: new Float64Array(lanes * agents * 12),
      lines: new Float64Array(lanes * lines * 40),
      lineLabels: new Float64Array(lanes * lines),
      lineMask: new Float64Array(lanes * lines),
      matchIndex: new Float64Array(lanes * agents).fill(-1),
      egoStatus: whole("ego_status"),
      egoPast: new Float64Array(lanes * 8),
      egoPastMask: new Float64Array(lanes * 4),
      egoFuture: whole("gt_ego_fut_trajs"),
      egoFutureMask: whole("gt_ego_fut_masks"),
      command: Float64Array.from({ length: lanes }, (__, lane) => whole("gt_ego_fut_cmd").slice(lane * 3, lane * 3 + 3).indexOf(1)),
      reset: new Float64Array(lanes).fill(frame === 0 ? 1 : 0),
      timeGap: new Float64Array(lanes),
      currentFromPrevious: frame === 0 ? new Float64Array(lanes * 16) : whole("T_temp2cur"),
    };
    previous.forEach((before, lane) => {
      const own = (name: string) => archive.get(`frame${frame}.sample${lane}.${name}`);
      fields.boxes.set(own("gt_bboxes_3d").numbers(), lane * agents * 9);
      fields.labels.set(own("gt_labels_3d").numbers(), lane * agents);
      fields.futureDisplacement.set(own("gt_agent_fut_trajs").numbers(), lane * agents * 24);
      fields.futureMask.set(own("gt_agent_fut_masks").numbers(), lane * agents * 12);
      fields.lines.set(own("gt_map_pts").numbers(), lane * lines * 40);
      fields.lineLabels.set(own("gt_map_labels").numbers(), lane * lines);
      fields.lineMask.fill(1, lane * lines, lane * lines + (own("gt_map_labels").shape[0] ?? 0));
      const ids = [...own("instance_id").numbers()];
      fields.agentMask.fill(1, lane * agents, lane * agents + ids.length);
      ids.forEach((id, slot) => (fields.matchIndex[lane * agents + slot] = before.ids.indexOf(id)));
      const time = whole("timestamp")[lane] ?? 0;
      fields.timeGap[lane] = frame === 0 ? 0 : time - before.time;
      previous[lane] = { ids, time };
    });
    return fields;
  });
}

/** First values of a tree's variables for the interpreter, with those of an archive in their place. */
export function variableValues(tree: unknown, seed: number, archive: NpzArchive | null = null): Map<Variable, ArrayLike<number>> {
  return new Map(
    [...variablesOf(tree)].map(([name, variable]) => [
      variable,
      archive?.has(name) ? archive.get(name).numbers() : initialValues(variable.init, sizeOf(variable.shape), seed, name),
    ]),
  );
}

/** Largest difference, as a fraction of the largest expected magnitude. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(expected[i] ?? 0));
  }
  return largest === 0 ? worst : worst / largest;
}
