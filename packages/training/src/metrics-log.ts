import { add, buffer, equal, expandDims, type Graph, mul, type Store, stack, type Tensor, type Variable, where } from "@distilldrive/tensor";
import { open, stat, truncate } from "node:fs/promises";
import { CheckpointError } from "./errors.js";

/** Scalars of the latest steps, kept on the device so that no step reads anything back. */
export interface DeviceLog {
  readonly rows: number;
  readonly columns: readonly string[];
  readonly variable: Variable;
}

/** Name of the input that says which row the step writes. */
export const rowInput = "log.row";

/**
 * Appends the scalars `values` to a ring of rows on the device.
 * @param parts batches that make a row: each adds its share
 * @param restart [1], 1 in the first of them; needed for several
 */
export function appendLog(graph: Graph, values: Readonly<Record<string, Tensor>>, { variable }: DeviceLog, parts = 1, restart?: Tensor): void {
  const [rows = 1] = variable.shape;
  const row = graph.input(rowInput, [1], "u32");
  const here = equal(graph.constant(Float32Array.from({ length: rows }, (_, i) => i), [rows, 1]), row);
  const old = graph.variable(variable);
  const fresh = expandDims(stack(Object.values(values), 0), 0);
  const value = restart && parts > 1 ? add(where(restart, 0, old), mul(fresh, 1 / parts)) : fresh;
  graph.assign(variable, where(here, value, old));
}

/** The ring for named scalars. */
export function deviceLog(columns: readonly string[], rows: number): DeviceLog {
  return { rows, columns, variable: buffer([rows, columns.length]) };
}

/** Reads the rows of steps `from` to `to` - 1 (at most as many as the logs have), the columns of all logs together. */
export async function readLogs(store: Store, logs: ReadonlyMap<string, DeviceLog>, from: number, to: number): Promise<{ step: number; values: Record<string, number> }[]> {
  const snapshot = await store.snapshot(logs.keys());
  return Array.from({ length: to - from }, (_, i) => {
    const step = from + i;
    const values: Record<string, number> = {};
    for (const [name, log] of logs) {
      const data = snapshot.get(name)?.data ?? [];
      log.columns.forEach((column, j) => (values[column] = data[(step % log.rows) * log.columns.length + j] ?? Number.NaN));
    }
    return { step, values };
  });
}

/** One JSON object a line, appended as training goes. */
export interface MetricsFile {
  append(lines: readonly object[]): Promise<void>;
  /** Bytes written so far, flushed to disk. */
  flush(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens `metrics.jsonl`, cut to its first `bytes` bytes: what a killed run wrote behind its last checkpoint goes.
 * @throws CheckpointError when the file is shorter than that, or cannot be written
 */
export async function openMetrics(file: string, bytes: number): Promise<MetricsFile> {
  if (bytes > 0) {
    const { size } = await stat(file).catch(() => ({ size: 0 }));
    if (size < bytes) throw new CheckpointError(`${file}: shorter than its checkpoint says, expected at least ${bytes} bytes, got ${size}. Restore the file or start a new run.`);
    await truncate(file, bytes);
  }
  const handle = await open(file, bytes > 0 ? "a" : "w");
  let written = bytes;
  return {
    async append(lines) {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
      await handle.write(text);
      written += Buffer.byteLength(text);
    },
    async flush() {
      await handle.sync();
      return written;
    },
    close: () => handle.close(),
  };
}
