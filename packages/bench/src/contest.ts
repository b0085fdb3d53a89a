import { deviceWork } from "@distilldrive/kernels";
import type { Library, Prepared } from "./libraries/library.js";
import { ContenderError, interleave, maxRelativeError, type MeasureOptions, wrongAbove } from "./measure.js";
import type { Measurable } from "./measurable.js";
import type { Reference, Values } from "./problems/problem.js";
import type { ReferenceStore } from "./reference-store.js";
import type { Case } from "./suites.js";
import type { Remark } from "./table.js";

/** What a process that measures tells the one that writes the report. */
export type ContestEvent =
  | { readonly kind: "started"; readonly row: Case }
  | { readonly kind: "measured"; readonly row: Case; readonly library: string; readonly flops: number; readonly bytes: number; readonly samples: readonly number[]; readonly maxRelError: number }
  | { readonly kind: "remark"; readonly remark: Remark };

/** How a contest is held. */
export interface ContestOptions extends MeasureOptions {
  readonly references: ReferenceStore;
  readonly signal?: AbortSignal;
}

/** "matmul NN [168,256]x[256,512] forward" */
export function nameOf({ kernel, form, shape, direction }: Case): string {
  return `${kernel} ${form} ${shape} ${direction}`;
}

/**
 * Measures rows with several libraries. Every library sets its work up, runs it once and is compared with the float64
 * reference; those that agree are timed turn by turn. What is not offered, fails or is wrong becomes a remark.
 */
export async function holdContest(measurables: readonly Measurable[], libraries: readonly Library[], options: ContestOptions, emit: (event: ContestEvent) => void): Promise<void> {
  for (const measurable of measurables) {
    options.signal?.throwIfAborted();
    emit({ kind: "started", row: measurable.row });
    await measureRow(measurable, libraries, options, emit);
  }
}

async function measureRow(measurable: Measurable, libraries: readonly Library[], options: ContestOptions, emit: (event: ContestEvent) => void): Promise<void> {
  const { row, work } = measurable;
  const values = measurable.values();
  const reference = await options.references.get(nameOf(row), () => measurable.reference(values));
  const contenders: { readonly library: string; readonly prepared: Prepared; readonly maxRelError: number }[] = [];
  const remark = (library: string, status: Remark["status"], detail: string): void => emit({ kind: "remark", remark: { ...row, library, status, detail } });
  try {
    for (const library of libraries) {
      try {
        const checked = await check(measurable, library, values, reference);
        if (checked === undefined) remark(library.name, "not offered", "");
        else if (checked.maxRelError > wrongAbove) remark(library.name, "wrong", `largest relative error ${checked.maxRelError.toExponential(1)}, allowed ${wrongAbove}; not timed`);
        else contenders.push({ library: library.name, ...checked });
      } catch (cause) {
        remark(library.name, "failed", firstLines(cause));
      }
    }
    while (contenders.length > 0) {
      try {
        const samples = await interleave(contenders.map(({ prepared }) => prepared), options);
        contenders.forEach(({ library, maxRelError }, index) => emit({ kind: "measured", row, library, ...work, samples: samples[index] ?? [], maxRelError }));
        return;
      } catch (cause) {
        if (!(cause instanceof ContenderError)) throw cause;
        // The others are timed without the one that failed.
        for (const { library, prepared } of contenders.splice(cause.index, 1)) {
          remark(library, "failed", firstLines(cause));
          prepared.dispose();
        }
      }
    }
  } finally {
    for (const { prepared } of contenders) prepared.dispose();
  }
}

/** Sets the work up, runs it once and compares; what is wrong is given back at once. */
async function check(measurable: Measurable, library: Library, values: Values, reference: Reference): Promise<{ readonly prepared: Prepared; readonly maxRelError: number } | undefined> {
  const prepared = await measurable.prepare(library, values);
  if (prepared === undefined) return undefined;
  let maxRelError = Infinity;
  try {
    prepared.launch();
    await deviceWork(prepared.settle());
    maxRelError = maxRelativeError(await prepared.read(), reference);
  } finally {
    if (maxRelError > wrongAbove) prepared.dispose();
  }
  return { prepared, maxRelError };
}

function firstLines(cause: unknown): string {
  const text = cause instanceof Error && cause.message !== "" ? cause.message : String(cause);
  return text.split("\n").slice(0, 3).join(" ").slice(0, 400);
}
