import type { Direction, Problem } from "./problems/problem.js";

/** Names of the suites. */
export const suiteNames = ["kernels", "block", "teacher", "student"] as const;
/** Name of a suite. */
export type SuiteName = (typeof suiteNames)[number];

/** One row of a table before it is measured: what is computed, and how it is called. */
export interface Case {
  readonly suite: string;
  readonly kernel: string;
  readonly form: string;
  readonly shape: string;
  readonly direction: Direction | "training step";
}

/** A row of the suite `kernels`. */
export interface KernelCase extends Case {
  readonly direction: Direction;
  readonly problem: Problem;
}

/** Names a problem the way the tables do. */
export function kernelCase(problem: Problem, direction: Direction): KernelCase {
  return { suite: "kernels", kernel: problem.op, ...describe(problem), direction, problem };
}

function describe(problem: Problem): { form: string; shape: string } {
  switch (problem.op) {
    case "matmul":
      return { form: problem.form, shape: `[${problem.m},${problem.k}]x[${problem.k},${problem.n}]` };
    case "attention":
      return { form: problem.queries === problem.keys ? "self" : problem.queries === 1 ? "temporal" : "cross", shape: `B=${problem.batch} Q=${problem.queries} K=${problem.keys} H=${problem.heads} d=${problem.dim}` };
    case "conv1d":
      return { form: `k=${problem.kernel}`, shape: `[${problem.batch},${problem.channels},${problem.length}] ${problem.channels}->${problem.outChannels}` };
    case "conv2d":
      return { form: `${problem.kernel}x${problem.kernel}`, shape: `[${problem.batch},${problem.channels},${problem.height},${problem.width}] ${problem.channels}->${problem.outChannels}` };
    case "softmax":
    case "layerNorm":
    case "klDivergence":
      return { form: "rows", shape: `[${problem.rows},${problem.width}]` };
    case "chain":
      return { form: "relu(x*a+b)+r", shape: `[${problem.rows},${problem.width}]` };
  }
}

const both: readonly Direction[] = ["forward", "forward+backward"];

/** The suite `kernels`: every shape, form and direction. */
export function kernelCases(): readonly KernelCase[] {
  const matmuls = ([[1344, 512, 512], [1344, 256, 1024], [4800, 256, 256], [168, 256, 512]] as const).flatMap(([m, k, n]) =>
    (["NN", "NT", "TN"] as const).map((form) => kernelCase({ op: "matmul", form, m, n, k }, "forward")),
  );
  const others: readonly Problem[] = [
    { op: "attention", batch: 8, queries: 168, keys: 168, heads: 8, dim: 64 },
    { op: "attention", batch: 8, queries: 168, keys: 168, heads: 8, dim: 32 },
    // 1344 queries that see four keys each, read both ways: shared keys per sample, and keys of their own per agent.
    { op: "attention", batch: 8, queries: 168, keys: 4, heads: 8, dim: 64 },
    { op: "attention", batch: 8, queries: 168, keys: 4, heads: 8, dim: 32 },
    { op: "attention", batch: 1344, queries: 1, keys: 4, heads: 8, dim: 64 },
    { op: "attention", batch: 1344, queries: 1, keys: 4, heads: 8, dim: 32 },
    { op: "conv1d", batch: 8, channels: 256, length: 918, outChannels: 256, kernel: 1 },
    { op: "conv1d", batch: 8, channels: 256, length: 918, outChannels: 256, kernel: 3 },
    { op: "conv2d", batch: 6, channels: 64, height: 64, width: 176, outChannels: 64, kernel: 3 },
    { op: "softmax", rows: 1344, width: 256 },
    { op: "layerNorm", rows: 1344, width: 256 },
    { op: "klDivergence", rows: 64, width: 18 },
    { op: "chain", rows: 1344, width: 256 },
  ];
  return [...matmuls, ...others.flatMap((problem) => both.map((direction) => kernelCase(problem, direction)))];
}
