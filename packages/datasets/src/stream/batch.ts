import { relativeMotion } from "../features/frame.js";
import { SAMPLE_EXTENTS, type ResolvedFeatureOptions, type Sample } from "../features/sample.js";

type StackedFields = { readonly [K in keyof typeof SAMPLE_EXTENTS]: Sample[K] };

/**
 * B samples stacked: every array of {@link Sample} with a leading B, and how each lane follows from its previous batch,
 * for a memory over time. Lanes without a sample (evaluation has run out of scenes) are zeros with laneMask 0.
 */
export interface StreamBatch extends StackedFields {
  /** [B] index into COMMANDS. */
  readonly command: Int32Array;
  /** [B] s. */
  readonly timestamp: Float64Array;
  /** [B, 4, 4] row-major. */
  readonly worldFromModel: Float64Array;
  /** [B] 1 where the lane starts a new stream: forget its memory. */
  readonly reset: Float32Array;
  /** [B] 1 where the lane holds a sample. */
  readonly laneMask: Float32Array;
  /** [B, N] slot of the same agent in the lane's previous batch; -1 where it was not there or the lane was reset. */
  readonly matchIndex: Int32Array;
  /** [B, 4, 4] row-major: moves points of the lane's previous model frame into the present one; identity on reset. */
  readonly currentFromPrevious: Float32Array;
  /** [B] s since the lane's previous sample; 0 on reset. */
  readonly timeGap: Float32Array;
  /** [B] the lanes' samples themselves (scene, frame, mirrored, futureObstacles ...); null where laneMask is 0. */
  readonly samples: readonly (Sample | null)[];
}

/** What a lane shows in one batch. */
export interface LaneStep {
  readonly sample: Sample;
  /** The lane's sample before, or null at the start of a stream. */
  readonly previous: Sample | null;
}

/** Stacks the present steps of all lanes; null lanes are padded. */
export function stackLanes(lanes: readonly (LaneStep | null)[], { maxAgents, maxLines }: ResolvedFeatureOptions): StreamBatch {
  const size = lanes.length;
  const stack = <K extends keyof typeof SAMPLE_EXTENTS>(key: K): Sample[K] => {
    const width = SAMPLE_EXTENTS[key](maxAgents, maxLines).reduce((a: number, b: number) => a * b, 1);
    const out = key === "labels" || key === "instanceIds" || key === "lineLabels" ? new Int32Array(size * width) : new Float32Array(size * width);
    lanes.forEach((lane, b) => {
      if (lane !== null) out.set(lane.sample[key], b * width);
      else if (key === "instanceIds") out.fill(-1, b * width, (b + 1) * width);
    });
    return out as Sample[K];
  };
  const each = (value: (lane: LaneStep) => number): number[] => lanes.map((lane) => (lane === null ? 0 : value(lane)));
  const worldFromModel = new Float64Array(16 * size);
  const currentFromPrevious = new Float32Array(16 * size);
  const matchIndex = new Int32Array(maxAgents * size).fill(-1);
  lanes.forEach((lane, b) => {
    const present = lane?.sample.worldFromModel ?? IDENTITY;
    worldFromModel.set(present, 16 * b);
    const previous = lane?.previous ?? null;
    currentFromPrevious.set(lane === null || previous === null ? IDENTITY : relativeMotion(present, previous.worldFromModel), 16 * b);
    if (lane !== null && previous !== null) matchIndex.set(matchInstances(lane.sample.instanceIds, previous.instanceIds), maxAgents * b);
  });
  return {
    boxes: stack("boxes"),
    labels: stack("labels"),
    agentMask: stack("agentMask"),
    instanceIds: stack("instanceIds"),
    futureDisplacement: stack("futureDisplacement"),
    futureMask: stack("futureMask"),
    pastDisplacement: stack("pastDisplacement"),
    pastMask: stack("pastMask"),
    lines: stack("lines"),
    lineLabels: stack("lineLabels"),
    lineMask: stack("lineMask"),
    egoStatus: stack("egoStatus"),
    egoFuture: stack("egoFuture"),
    egoFutureMask: stack("egoFutureMask"),
    egoPast: stack("egoPast"),
    egoPastMask: stack("egoPastMask"),
    command: Int32Array.from(each(({ sample }) => sample.command)),
    timestamp: Float64Array.from(each(({ sample }) => sample.timestamp)),
    worldFromModel,
    reset: Float32Array.from(lanes, (lane) => (lane === null || lane.previous === null ? 1 : 0)),
    laneMask: Float32Array.from(lanes, (lane) => (lane === null ? 0 : 1)),
    matchIndex,
    currentFromPrevious,
    timeGap: Float32Array.from(each(({ sample, previous }) => (previous === null ? 0 : sample.timestamp - previous.timestamp))),
    samples: lanes.map((lane) => lane?.sample ?? null),
  };
}

const IDENTITY = Float64Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);

/** For each present slot the previous slot with the same id; -1 for padding and for newcomers. */
function matchInstances(present: Int32Array, previous: Int32Array): Int32Array {
  const slots = new Map<number, number>();
  previous.forEach((id, slot) => id >= 0 && slots.set(id, slot));
  return present.map((id) => slots.get(id) ?? -1);
}
