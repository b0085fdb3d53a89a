import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BenchError, PeerError } from "./errors.js";
import type { WorkerEvent, WorkerTask } from "./worker.js";

/** The worker beside this file: TypeScript in the clone's tests, a file of its own in the built package. */
const source = import.meta.url.endsWith(".ts");
const workerFile = fileURLToPath(new URL(source ? "./worker.ts" : "./worker.js", import.meta.url));
const workerArguments = source ? ["--conditions=@distilldrive/source", "--import", "tsx"] : [];

/**
 * Measures ours and one peer in a process of their own, so that no library can spoil another.
 * @throws PeerError when the peer cannot be loaded; BenchError when the process breaks
 */
export function measurePair(task: WorkerTask, listen: (event: WorkerEvent) => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(workerFile, [], { execArgv: workerArguments, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let errors = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      errors = `${errors}${chunk.toString()}`.slice(-2000);
    });
    const stop = (): void => {
      child.kill();
      reject(signal?.reason instanceof Error ? signal.reason : new BenchError("bench: stopped."));
    };
    signal?.addEventListener("abort", stop, { once: true });
    let finished = false;
    child.on("message", (event: WorkerEvent) => {
      if (event.kind === "done") {
        finished = true;
        resolve();
      } else if (event.kind === "broken") {
        finished = true;
        reject(event.peer ? new PeerError(event.message) : new BenchError(`bench: measuring ${task.peer} broke: ${event.message}`));
      } else {
        listen(event);
      }
    });
    child.on("error", reject);
    child.on("exit", (code, killed) => {
      signal?.removeEventListener("abort", stop);
      if (!finished) reject(new BenchError(`bench: the process of ${task.peer} ended early (${killed ?? `status ${code ?? "unknown"}`}).\n${errors.trim()}`));
    });
    child.send(task);
  });
}
