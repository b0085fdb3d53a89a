import type { NumpyArchive } from "@distilldrive/training";
import { RunError } from "../../errors.js";

/** Sizes of a recorded teacher. */
export interface TeacherSizes {
  /** B */
  readonly lanes: number;
  /** N: agent slots. */
  readonly agents: number;
  /** L: line slots. */
  readonly lines: number;
  readonly frames: number;
}

/** Points of a line and steps of an agent, as published. */
const [POINTS, STEPS] = [20, 12];

/** How many frames an inputs archive has. */
export function recordedFrames({ names }: NumpyArchive): number {
  return 1 + Math.max(-1, ...names.map((name) => Number(/^frame(\d+)\.timestamp$/.exec(name)?.[1] ?? -1)));
}

/** Values of an array of a shape; -1: any extent. @throws RunError when it has another one */
function valuesOf(archive: NumpyArchive, name: string, wanted: readonly number[]): Float64Array {
  const { shape, values } = archive.get(name);
  if (shape.length !== wanted.length || shape.some((extent, axis) => wanted[axis] !== -1 && wanted[axis] !== extent)) {
    throw new RunError(`parity: wrong shape of ${name} in the inputs, expected [${wanted.map((extent) => (extent === -1 ? "any" : extent)).join(", ")}], got [${shape.join(", ")}]. Record it again.`);
  }
  return values;
}

/**
 * The recorded frames as stream batches, by graph input name.
 * @throws RunError when a shape is not the published one, or a frame has more agents or lines than there are slots
 */
export function teacherFrames(archive: NumpyArchive, sizes: TeacherSizes): Record<string, Float64Array>[] {
  const { lanes, agents, lines, frames } = sizes;
  const previous = Array.from({ length: lanes }, () => ({ ids: [] as number[], time: 0 }));
  return Array.from({ length: frames }, (_, frame) => {
    const whole = (name: string, ...shape: number[]): Float64Array => valuesOf(archive, `frame${frame}.${name}`, [lanes, ...shape]);
    const commands = whole("gt_ego_fut_cmd", 3);
    const fields = {
      boxes: new Float64Array(lanes * agents * 9),
      labels: new Float64Array(lanes * agents),
      agentMask: new Float64Array(lanes * agents),
      futureDisplacement: new Float64Array(lanes * agents * STEPS * 2),
      futureMask: new Float64Array(lanes * agents * STEPS),
      lines: new Float64Array(lanes * lines * POINTS * 2),
      lineLabels: new Float64Array(lanes * lines),
      lineMask: new Float64Array(lanes * lines),
      matchIndex: new Float64Array(lanes * agents).fill(-1),
      egoStatus: whole("ego_status", 10),
      egoPast: new Float64Array(lanes * 8),
      egoPastMask: new Float64Array(lanes * 4),
      egoFuture: whole("gt_ego_fut_trajs", 6, 2),
      egoFutureMask: whole("gt_ego_fut_masks", 6),
      command: Float64Array.from({ length: lanes }, (__, lane) => commands.subarray(lane * 3, lane * 3 + 3).indexOf(1)),
      reset: new Float64Array(lanes).fill(frame === 0 ? 1 : 0),
      timeGap: new Float64Array(lanes),
      currentFromPrevious: frame === 0 ? new Float64Array(lanes * 16) : currentFromPrevious(archive, frame, lanes),
    };
    const odd = fields.command.indexOf(-1);
    if (odd >= 0) throw new RunError(`parity: no command in frame${frame}.gt_ego_fut_cmd, expected one 1 in row ${odd}, got ${commands.subarray(odd * 3, odd * 3 + 3).join(", ")}. Record it again.`);
    const times = whole("timestamp");
    previous.forEach((before, lane) => {
      const labels = valuesOf(archive, `frame${frame}.sample${lane}.gt_labels_3d`, [-1]);
      const own = (name: string, ...shape: number[]): Float64Array => valuesOf(archive, `frame${frame}.sample${lane}.${name}`, [labels.length, ...shape]);
      const lineLabels = valuesOf(archive, `frame${frame}.sample${lane}.gt_map_labels`, [-1]);
      for (const [what, count, slots] of [["agents", labels.length, agents], ["lines", lineLabels.length, lines]] as const) {
        if (count > slots) throw new RunError(`parity: too many ${what} in frame ${frame}, sample ${lane}, expected at most the ${slots} slots of the recorded teacher, got ${count}. Record the set again.`);
      }
      fields.boxes.set(own("gt_bboxes_3d", 9), lane * agents * 9);
      fields.labels.set(labels, lane * agents);
      fields.futureDisplacement.set(own("gt_agent_fut_trajs", STEPS, 2), lane * agents * STEPS * 2);
      fields.futureMask.set(own("gt_agent_fut_masks", STEPS), lane * agents * STEPS);
      // Only permutation 0 of a line's points is read.
      const points = valuesOf(archive, `frame${frame}.sample${lane}.gt_map_pts`, [lineLabels.length, -1, POINTS, 2]);
      const stride = lineLabels.length === 0 ? 0 : points.length / lineLabels.length;
      for (let line = 0; line < lineLabels.length; line++) {
        fields.lines.set(points.subarray(line * stride, line * stride + POINTS * 2), (lane * lines + line) * POINTS * 2);
      }
      fields.lineLabels.set(lineLabels, lane * lines);
      fields.lineMask.fill(1, lane * lines, lane * lines + lineLabels.length);
      const ids = [...own("instance_id")];
      fields.agentMask.fill(1, lane * agents, lane * agents + ids.length);
      ids.forEach((id, slot) => (fields.matchIndex[lane * agents + slot] = before.ids.indexOf(id)));
      const time = times[lane] ?? 0;
      fields.timeGap[lane] = frame === 0 ? 0 : time - before.time;
      previous[lane] = { ids, time };
    });
    return fields;
  });
}

/** `T_temp2cur`, or what it is computed from. */
function currentFromPrevious(archive: NumpyArchive, frame: number, lanes: number): Float64Array {
  const given = `frame${frame}.T_temp2cur`;
  const matrices = (name: string): Float64Array => valuesOf(archive, name, [lanes, 4, 4]);
  if (archive.has(given)) return matrices(given);
  const [toCurrent, fromPrevious] = [matrices(`frame${frame}.T_global_inv`), matrices(`frame${frame - 1}.T_global`)];
  return Float64Array.from(toCurrent, (_, i) => {
    const [lane, row, column] = [Math.floor(i / 16) * 16, Math.floor((i % 16) / 4), i % 4];
    let total = 0;
    for (let k = 0; k < 4; k++) total += (toCurrent[lane + row * 4 + k] ?? NaN) * (fromPrevious[lane + k * 4 + column] ?? NaN);
    return total;
  });
}
