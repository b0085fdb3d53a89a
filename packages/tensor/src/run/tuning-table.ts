import { measureCandidates, type MeasureOptions, type Tuning, tuningFrom, type TuningRecorder } from "@distilldrive/kernels";
import type { Device } from "./device.js";

/** Raised when the meaning of keys or candidates changes: older tables are then measured again. */
export const TUNING_FORMAT = 1;

/** What was measured on one adapter with one driver; JSON. */
export interface TuningTable {
  readonly format: typeof TUNING_FORMAT;
  readonly adapter: AdapterIdentity;
  /** By tuning key, e.g. `matmul.nt 2048x512x512`. */
  readonly winners: Readonly<Record<string, TuningWinner>>;
}

/** An adapter and its driver, as WebGPU names them. */
export interface AdapterIdentity {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** Name and version of the driver where the implementation tells. */
  readonly description: string;
}

/** The fastest candidate for a key. */
export interface TuningWinner {
  readonly candidate: string;
  /** Median ms of every candidate that ran, the fastest first. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

/** The adapter a device is on. */
export function adapterIdentity({ gpu }: Device): AdapterIdentity {
  const { vendor, architecture, device, description } = gpu.adapterInfo;
  return { vendor, architecture, device, description };
}

/** The same device for programs whose kernels a tuning chooses: {@link tuningOf} a table, or a `recordTuning()` to learn what there is to tune. */
export function withTuning(device: Device, tuning: Tuning): Device {
  return { ...device, target: { ...device.target, tuning } };
}

/** How to tune. */
export interface TuneOptions extends MeasureOptions {
  /** Called after every key. */
  readonly onMeasured?: (key: string, winner: TuningWinner, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Measures every choice of a record on a device. To fill the record, plan programs for `withTuning(device, recorder)`.
 * @param known winners of earlier tuning, kept for keys that are not measured now
 * @throws the signal's reason when it is aborted between two keys
 */
export async function tune(device: Device, recorder: TuningRecorder, known: TuningTable["winners"] = {}, { onMeasured, signal, ...options }: TuneOptions = {}): Promise<TuningTable> {
  const winners: Record<string, TuningWinner> = { ...known };
  const open = [...recorder.choices].filter(([, candidates]) => candidates.length > 1);
  let done = 0;
  for (const [key, candidates] of open) {
    signal?.throwIfAborted();
    const times = await measureCandidates(device.gpu, candidates, options);
    done++;
    const [first] = times;
    if (!first) continue;
    const winner = { candidate: first.candidate, milliseconds: Object.fromEntries(times.map(({ candidate, milliseconds }) => [candidate, milliseconds])) };
    winners[key] = winner;
    onMeasured?.(key, winner, done, open.length);
  }
  return { format: TUNING_FORMAT, adapter: adapterIdentity(device), winners };
}

/** A table that may be used on a device, or the reason why it may not, in one line. */
export type TuningLookup = { readonly table: TuningTable } | { readonly ignored: string };

/** Checks parsed JSON: the format and the adapter with its driver must be the same. Never throws. */
export function checkTuningTable(content: unknown, device: Device): TuningLookup {
  if (!isRecord(content) || !isRecord(content["winners"]) || !isRecord(content["adapter"])) return { ignored: "it is no table of tuned kernels" };
  if (content["format"] !== TUNING_FORMAT) return { ignored: `it has format ${String(content["format"])}, expected ${TUNING_FORMAT}` };
  const { adapter } = content;
  const here = adapterIdentity(device);
  for (const field of ["vendor", "architecture", "device", "description"] as const) {
    if (adapter[field] !== here[field]) return { ignored: `it was measured on ${field} "${String(adapter[field])}", this is "${here[field]}"` };
  }
  const broken = Object.entries(content["winners"]).find(([, winner]) => !isRecord(winner) || typeof winner["candidate"] !== "string");
  if (broken) return { ignored: `its entry "${broken[0]}" names no candidate` };
  return { table: content as unknown as TuningTable };
}

/** The choices of a table, for {@link withTuning}. */
export function tuningOf({ winners }: TuningTable): Tuning {
  return tuningFrom(Object.fromEntries(Object.entries(winners).map(([key, { candidate }]) => [key, candidate])));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
