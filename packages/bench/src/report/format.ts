import { nameOf } from "../contest.js";
import { peerNames } from "../libraries/import-peer.js";
import type { StepWork } from "../step-details.js";
import { type BenchReport, type Comparison, DISTILLDRIVE, type Row, sameCase } from "../table.js";

/** A number with three significant digits, as short as it gets. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  return size >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** What of the arithmetic and of the copy ceiling a row reaches, in percent. */
export function percentOfCeilings(row: Pick<Row, "gflops" | "gbps">, { ceilings }: Pick<BenchReport, "ceilings">): { readonly fma: number; readonly copy: number } {
  return { fma: (100 * row.gflops) / ceilings.fmaGflops, copy: (100 * row.gbps) / ceilings.copyGBps };
}

/** A kernel's ratio to one peer over all its rows of a direction: the geometric mean. */
export interface Summary {
  readonly kernel: string;
  readonly direction: string;
  readonly peer: string;
  readonly rows: number;
  readonly speedup: number;
}

/** Geometric means of the ratios by kernel, direction and peer, in the order of the table. */
export function summaries(comparisons: readonly Comparison[]): Summary[] {
  const groups = new Map<string, { kernel: string; direction: string; peer: string; logs: number[] }>();
  for (const { kernel, direction, peer, speedup } of comparisons) {
    const key = [kernel, direction, peer].join("|");
    const group = groups.get(key) ?? { kernel, direction, peer, logs: [] };
    group.logs.push(Math.log(speedup));
    groups.set(key, group);
  }
  return [...groups.values()].map(({ logs, ...group }) => ({ ...group, rows: logs.length, speedup: Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length) }));
}

/** The report as text: a line per row of ours with its ratios, the means, whole steps, the sweep, and what has no figures. */
export function formatReport(report: BenchReport): string {
  const { ceilings, rows, comparisons, remarks, start, steps, sweep } = report;
  const lines = [
    `adapter   ${report.adapter}`,
    `versions  ${Object.entries(report.versions).map(([name, version]) => `${name} ${version}`).join(", ")}`,
    `ceilings  ${short(ceilings.fmaGflops)} GFLOP/s (multiply-add), ${short(ceilings.copyGBps)} GB/s (copy)`,
    "",
  ];
  // Peers stand as ratios in our lines; a user's own kernels have lines of their own.
  const peers: readonly string[] = peerNames;
  const shown = rows.filter(({ library }) => !peers.includes(library));
  const cells = shown.map((row) => {
    const percent = percentOfCeilings(row, report);
    const ratios = row.library === DISTILLDRIVE ? comparisons.filter((comparison) => sameCase(comparison, row)).map(({ peer, speedup }) => `${short(speedup)}x ${peer}`) : [];
    return [nameOf(row), row.library, `${short(row.medianMs)} ms`, `${short(row.gflops)} GFLOP/s`, `${short(percent.fma)} %`, `${short(row.gbps)} GB/s`, `${short(percent.copy)} %`, `err ${row.maxRelError.toExponential(0)}`, ratios.join("  ")];
  });
  if (cells.length > 0) lines.push(...table(["", "library", "median", "arithmetic", "of FMA", "memory", "of copy", "", ""], cells), "");
  if (comparisons.length > 0) {
    lines.push("geometric means, times a peer's time over ours");
    lines.push(...table(["", "", "", ""], summaries(comparisons).map(({ kernel, direction, peer, rows: count, speedup }) => [`${kernel} ${direction}`, peer, `${short(speedup)}x`, `${count} ${count === 1 ? "row" : "rows"}`])).slice(1), "");
  }
  for (const step of steps) {
    lines.push(
      `${step.kernel} ${step.shape}: ${short(step.submits)} ${step.submits === 1 ? "submit" : "submits"}, ${step.dispatches} dispatches, ${short(step.stepMs)} ms a step of which the host encodes ${short(step.encodeMs)} ms (${short(100 * step.encodeShare)} %)`,
      `  planned peak ${mebibytes(step.plannedPeakBytes)}, lower bound ${mebibytes(step.lowerBoundBytes)} (${short(step.plannedPeakBytes / step.lowerBoundBytes)}x); buffers created after the second step: ${step.allocationsAfterSecondStep}`,
      `  on the device ${mebibytes(step.deviceBytes)}: intermediates, variables, inputs, outputs`,
    );
    if (step.work) lines.push(...table(["", "step", "forward"], workCells(step.work)).map((line) => `  ${line}`));
  }
  if (start) lines.push(...table(["", "opening the device", "tracing and compiling", "first step", "together"], startCells(start)));
  if (sweep.length > 0) {
    lines.push("", "time of a step while its work grows", ...table(["", "step", "time", "work"], sweep.map((point) => [`${point.model} ${point.axis} ${point.value}`, `${short(point.stepMs)} ms`, `${short(point.timeRatio)}x`, `${short(point.workRatio)}x`])));
  }
  const broken = remarks.filter(({ status }) => status !== "not offered");
  if (broken.length > 0) lines.push("", "rows without figures", ...broken.map((remark) => `  ${remark.library}  ${nameOf(remark)}  ${remark.status}: ${remark.detail}`));
  const missing = new Map<string, number>();
  for (const { library, status } of remarks) if (status === "not offered") missing.set(library, (missing.get(library) ?? 0) + 1);
  for (const [library, count] of missing) lines.push(`${library} does not offer ${count} ${count === 1 ? "row" : "rows"}`);
  return `${lines.join("\n")}\n`;
}

/** What a step computes and what it saves, in GFLOP, the least first. */
export function workCells({ slots, computed, allSlots, allRows }: StepWork): string[][] {
  const gflop = (flops: number, least: number): string => `${short(flops / 1e9)} GFLOP${flops === least ? "" : ` (${short(flops / least)}x)`}`;
  const cut = Object.entries(slots).map(([name, size]) => `${name} ${size}`).join(", ");
  return ([[`computed${cut === "" ? "" : ` (${cut} slots)`}`, computed], ["with every padded slot", allSlots], ["and with the rows nobody reads", allRows]] as const).map(([what, { step, forward }]) => [
    what, gflop(step, computed.step), gflop(forward, computed.forward),
  ]);
}

/** The teacher's start with an empty and with a warm driver cache, in seconds. */
export function startCells(start: NonNullable<BenchReport["start"]>): string[][] {
  const seconds = (milliseconds: number): string => `${short(milliseconds / 1000)} s`;
  return (["cold", "warm"] as const).map((kind) => {
    const { openMs, compileMs, firstStepMs, totalMs } = start[kind];
    return [`teacher ${start.preset} B=${start.batch}, ${kind === "cold" ? "empty" : "warm"} driver cache`, seconds(openMs), seconds(compileMs), seconds(firstStepMs), seconds(totalMs)];
  });
}

/** Bytes in MiB. */
export function mebibytes(bytes: number): string {
  return `${short(bytes / 2 ** 20)} MiB`;
}

/** Columns under each other: the first and last to the left, figures to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => (column === 0 || column === row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}
