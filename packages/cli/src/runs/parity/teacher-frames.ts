import type { NumpyArchive } from "@distilldrive/training";

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

/** The recorded frames as stream batches, by graph input name. */
export function teacherFrames(archive: NumpyArchive, sizes: TeacherSizes): Record<string, Float64Array>[] {
  const { lanes, agents, lines, frames } = sizes;
  const previous = Array.from({ length: lanes }, () => ({ ids: [] as number[], time: 0 }));
  return Array.from({ length: frames }, (_, frame) => {
    const whole = (name: string): Float64Array => archive.get(`frame${frame}.${name}`).values;
    const commands = whole("gt_ego_fut_cmd");
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
      egoStatus: whole("ego_status"),
      egoPast: new Float64Array(lanes * 8),
      egoPastMask: new Float64Array(lanes * 4),
      egoFuture: whole("gt_ego_fut_trajs"),
      egoFutureMask: whole("gt_ego_fut_masks"),
      command: Float64Array.from({ length: lanes }, (__, lane) => commands.subarray(lane * 3, lane * 3 + 3).indexOf(1)),
      reset: new Float64Array(lanes).fill(frame === 0 ? 1 : 0),
      timeGap: new Float64Array(lanes),
      currentFromPrevious: frame === 0 ? new Float64Array(lanes * 16) : whole("T_temp2cur"),
    };
    const times = whole("timestamp");
    previous.forEach((before, lane) => {
      const own = (name: string): Float64Array => archive.get(`frame${frame}.sample${lane}.${name}`).values;
      fields.boxes.set(own("gt_bboxes_3d"), lane * agents * 9);
      fields.labels.set(own("gt_labels_3d"), lane * agents);
      fields.futureDisplacement.set(own("gt_agent_fut_trajs"), lane * agents * STEPS * 2);
      fields.futureMask.set(own("gt_agent_fut_masks"), lane * agents * STEPS);
      // Only permutation 0 of a line's points is read.
      const points = own("gt_map_pts");
      const labels = own("gt_map_labels");
      const stride = labels.length === 0 ? 0 : points.length / labels.length;
      for (let line = 0; line < labels.length; line++) {
        fields.lines.set(points.subarray(line * stride, line * stride + POINTS * 2), (lane * lines + line) * POINTS * 2);
      }
      fields.lineLabels.set(labels, lane * lines);
      fields.lineMask.fill(1, lane * lines, lane * lines + labels.length);
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
