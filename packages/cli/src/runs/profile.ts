import type { Ceilings } from "@distilldrive/kernels";
import type { ProfileRow } from "@distilldrive/tensor";
import type { FitResult } from "@distilldrive/training";
import { textTable } from "@distilldrive/viewer";
import { peakProcessBytes } from "./statistics.js";

/** All dispatches of one kernel in a step. */
export interface KernelProfile {
  readonly kernel: string;
  readonly dispatches: number;
  readonly milliseconds: number;
  readonly gflopPerSecond: number;
  readonly gigabytePerSecond: number;
}

/** Adds up the dispatches of each kernel, the slowest first. */
export function profileByKernel(rows: readonly ProfileRow[]): KernelProfile[] {
  const groups = new Map<string, { dispatches: number; milliseconds: number; flops: number; bytes: number }>();
  for (const { kernel, milliseconds, flops, bytes } of rows) {
    const group = groups.get(kernel) ?? { dispatches: 0, milliseconds: 0, flops: 0, bytes: 0 };
    groups.set(kernel, {
      dispatches: group.dispatches + 1,
      milliseconds: group.milliseconds + milliseconds,
      flops: group.flops + flops,
      bytes: group.bytes + bytes,
    });
  }
  const rate = (amount: number, milliseconds: number): number => (milliseconds > 0 ? amount / 1e6 / milliseconds : 0);
  return [...groups]
    .map(([kernel, { dispatches, milliseconds, flops, bytes }]) => ({
      kernel, dispatches, milliseconds, gflopPerSecond: rate(flops, milliseconds), gigabytePerSecond: rate(bytes, milliseconds),
    }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Kernels that get a row of their own; the others share one. */
const SHOWN = 25;

/** Table of a profiled step beside what the adapter can do at most, and what a step and the run cost. */
export function formatProfile({ profile, encodeMilliseconds, gpuBytes, programs, wholeFlops }: FitResult, ceilings: Ceilings): string {
  const kernels = profileByKernel(profile);
  const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const others = kernels.slice(SHOWN);
  const rest = others.reduce((sum, { dispatches, milliseconds }) => ({ dispatches: sum.dispatches + dispatches, milliseconds: sum.milliseconds + milliseconds }), { dispatches: 0, milliseconds: 0 });
  const shareOf = (milliseconds: number): string => `${((100 * milliseconds) / Math.max(total, Number.MIN_VALUE)).toFixed(1)} %`;
  const partOf = (rate: number, peak: number): string => `${((100 * rate) / Math.max(peak, Number.MIN_VALUE)).toFixed(0)} %`;
  const rows = kernels.slice(0, SHOWN).map(({ kernel, dispatches, milliseconds, gflopPerSecond, gigabytePerSecond }) => [
    kernel, String(dispatches), milliseconds.toFixed(3), shareOf(milliseconds), gflopPerSecond.toFixed(2), partOf(gflopPerSecond, ceilings.fmaGflops), gigabytePerSecond.toFixed(2), partOf(gigabytePerSecond, ceilings.copyGBps),
  ]);
  if (others.length > 0) rows.push([`${others.length} others`, String(rest.dispatches), rest.milliseconds.toFixed(3), shareOf(rest.milliseconds), "", "", "", ""]);
  return [
    textTable([["kernel", "dispatches", "ms", "share", "GFLOP/s", "of peak", "GB/s", "of peak"], ...rows, ["all", String(profile.length), total.toFixed(3), "", "", "", "", ""]]),
    "",
    `peak             ${ceilings.fmaGflops.toFixed(1)} GFLOP/s of multiply-adds, ${ceilings.copyGBps.toFixed(2)} GB/s of copying, measured now`,
    `one step         ${total.toFixed(1)} ms on the device, ${encodeMilliseconds.toFixed(2)} ms to write inputs, encode and submit (median)`,
    ...formatWork(programs, wholeFlops),
    `device memory    ${formatMebibytes(gpuBytes)}`,
    `process memory   ${formatMebibytes(peakProcessBytes())} at its peak`,
    "",
  ].join("\n");
}

/** The work of a batch in every step program, the most used first, beside the work with all slots. */
function formatWork(programs: FitResult["programs"], whole: number | null): string[] {
  const gflop = (flops: number): string => `${(flops / 1e9).toFixed(2)} GFLOP`;
  const lines = [...programs].sort((a, b) => b.batches - a.batches).map(({ slots, batches, flops }) => {
    const cut = Object.entries(slots).map(([name, size]) => `${name} ${size}`).join(", ");
    const saved = whole === null || cut === "" ? "" : `, ${((100 * flops) / whole).toFixed(0)} % of ${gflop(whole)} with all slots`;
    return `${gflop(flops)} a batch${cut === "" ? "" : ` with ${cut}`}${saved}; ${batches} ${batches === 1 ? "batch" : "batches"}`;
  });
  return lines.map((line, index) => `${index === 0 ? "work" : ""}`.padEnd(17) + line);
}

/** 88080384 -> "84.0 MiB". */
export function formatMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
