import type { Ceilings } from "@distilldrive/kernels";
import type { Timing } from "./measure.js";
import type { StepDetails } from "./step-details.js";
import type { ColdStart } from "./start-time.js";
import type { Case } from "./suites.js";
import type { SweepPoint } from "./sweep.js";

/** The name of our own rows. */
export const DISTILLDRIVE = "distilldrive";

/** One measured row, as `--json` writes it. Times are milliseconds of one execution: median, first and ninth decile. */
export interface Row extends Case, Timing {
  readonly library: string;
  /** Useful work per second: 1e9 floating point operations, 1e9 bytes. */
  readonly gflops: number;
  readonly gbps: number;
  /** Largest deviation from the float64 reference, relative to the largest value of its tensor. */
  readonly maxRelError: number;
}

/** A row that has no figures, and why. */
export interface Remark extends Case {
  readonly library: string;
  readonly status: "not offered" | "wrong" | "failed";
  readonly detail: string;
}

/** Two libraries on the same work in one process, turn by turn. */
export interface Comparison extends Case {
  readonly peer: string;
  readonly oursMs: number;
  readonly peerMs: number;
  /** peerMs / oursMs: above 1 we are faster. */
  readonly speedup: number;
}

/** Everything a run found. `adapter`, `versions`, `ceilings` and `rows` are the table; the rest explains it. */
export interface BenchReport {
  /** What the adapter says about itself. */
  readonly adapter: string;
  /** Versions by package name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly ceilings: Ceilings;
  readonly rows: readonly Row[];
  readonly comparisons: readonly Comparison[];
  readonly remarks: readonly Remark[];
  /** How long the teacher takes to start, where that was asked for. */
  readonly start?: ColdStart & { readonly preset: string; readonly batch: number };
  /** What else is known of whole training steps. */
  readonly steps: readonly StepDetails[];
  /** How the time of a step grows with its work. */
  readonly sweep: readonly SweepPoint[];
  /** How it was measured, in words. */
  readonly method: readonly string[];
}

/** Same row, whichever library. */
export function sameCase(a: Case, b: Case): boolean {
  return a.suite === b.suite && a.kernel === b.kernel && a.form === b.form && a.shape === b.shape && a.direction === b.direction;
}
