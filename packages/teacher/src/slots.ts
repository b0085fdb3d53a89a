import { bucketOf } from "@distilldrive/tensor";
import type { BatchSource, Slots, TrainingBatch } from "@distilldrive/training";
import type { TeacherConfig } from "./config.js";

/** Sizes that the slots of a training batch are cut to; those that are not below the maximum do not count, the maximum always does. */
export interface SlotBuckets {
  readonly agents: readonly number[];
  readonly lines: readonly number[];
}

/** The default: about doubling, so that at most half of the computed slots of the largest scene are empty, with few programs. */
export const SLOT_BUCKETS: SlotBuckets = { agents: [24, 48, 96], lines: [16, 32] };

/** Inputs with a slot axis behind the lanes. */
const AGENT_INPUTS = ["boxes", "labels", "agentMask", "instanceIds", "futureDisplacement", "futureMask", "pastDisplacement", "pastMask", "matchIndex"] as const;
const LINE_INPUTS = ["lines", "lineLabels", "lineMask"] as const;

/** An axis that may be cut. */
interface SlotAxis {
  readonly name: keyof SlotBuckets;
  readonly whole: number;
  /** Ascending; the whole is the last. */
  readonly buckets: readonly number[];
  readonly inputs: readonly string[];
  /** The input that says which slots are used, and from which value on. */
  readonly used: { readonly input: string; readonly from: number };
}

function slotAxes({ maxAgents, maxLines, mapSlots }: TeacherConfig, { agents, lines }: SlotBuckets): readonly SlotAxis[] {
  const below = (sizes: readonly number[], whole: number): number[] => [...sizes.filter((size) => size < whole), whole];
  return [
    // The id, not the mask: an agent that augmentation hides still leaves its place in the memory.
    { name: "agents", whole: maxAgents, buckets: below(agents, maxAgents), inputs: AGENT_INPUTS, used: { input: "instanceIds", from: 0 } },
    // As published, the planner looks at the empty slots of the map.
    { name: "lines", whole: maxLines, buckets: mapSlots === "padding" ? [maxLines] : below(lines, maxLines), inputs: LINE_INPUTS, used: { input: "lineMask", from: 1 } },
  ];
}

/** Every combination of slots that cut batches may have, but all slots. */
export function slotCombinations(config: TeacherConfig, buckets: SlotBuckets = SLOT_BUCKETS): readonly Slots[] {
  const combinations = slotAxes(config, buckets).reduce<Slots[]>(
    (all, { name, whole, buckets: sizes }) => all.flatMap((slots) => sizes.map((size) => (size === whole ? slots : { ...slots, [name]: size }))),
    [{}],
  );
  return combinations.filter((slots) => Object.keys(slots).length > 0);
}

/** The configuration a step with these slots is traced with. */
export function withSlots(config: TeacherConfig, { agents = config.maxAgents, lines = config.maxLines }: Slots): TeacherConfig {
  return { ...config, maxAgents: agents, maxLines: lines };
}

/**
 * Batches whose agents and lines are cut to the smallest buckets that hold all that is used in any lane: padding is not computed.
 * @param source with the arrays of a stream batch and the slots of `config`
 */
export function bucketedSource(source: BatchSource, config: TeacherConfig, lanes: number, buckets: SlotBuckets = SLOT_BUCKETS): BatchSource {
  const axes = slotAxes(config, buckets).filter(({ buckets: sizes }) => sizes.length > 1);
  if (axes.length === 0) return source;
  return {
    next: async () => cutBatch(await source.next(), axes, lanes),
    state: () => source.state(),
    restore: (state) => {
      source.restore(state);
    },
  };
}

function cutBatch(batch: TrainingBatch, axes: readonly SlotAxis[], lanes: number): TrainingBatch {
  const inputs: Record<string, ArrayLike<number>> = { ...batch.inputs };
  const slots: Record<string, number> = {};
  for (const { name, whole, buckets, inputs: names, used } of axes) {
    const size = bucketOf(lastUsed(batch.inputs[used.input] ?? [], whole, used.from), buckets);
    if (size === whole) continue;
    slots[name] = size;
    for (const each of names) {
      const value = batch.inputs[each];
      if (value) inputs[each] = firstSlots(value, lanes, whole, size);
    }
  }
  return { ...batch, inputs, slots };
}

/** One more than the last slot of any lane that is used; slots between may be empty. */
function lastUsed(values: ArrayLike<number>, slots: number, from: number): number {
  let last = 0;
  for (let i = 0; i < values.length; i++) if ((values[i] ?? 0) >= from) last = Math.max(last, (i % slots) + 1);
  return last;
}

/** The first `size` of `whole` slots of every lane. */
function firstSlots(values: ArrayLike<number>, lanes: number, whole: number, size: number): ArrayLike<number> {
  const width = values.length / (lanes * whole);
  const out = values instanceof Int32Array ? new Int32Array(lanes * size * width) : new Float32Array(lanes * size * width);
  for (let lane = 0; lane < lanes; lane++) {
    for (let i = 0; i < size * width; i++) out[lane * size * width + i] = values[lane * whole * width + i] ?? 0;
  }
  return out;
}
