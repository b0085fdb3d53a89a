import { BenchError, PeerError } from "./errors.js";
import { runProgram } from "./program.js";
import type { WorkerEvent, WorkerTask } from "./worker.js";

/**
 * Measures ours and one peer in a process of their own, so that no library can spoil another.
 * @throws PeerError when the peer cannot be loaded; BenchError when the process breaks
 */
export async function measurePair(task: WorkerTask, listen: (event: Exclude<WorkerEvent, { readonly kind: "broken" }>) => void, signal?: AbortSignal): Promise<void> {
  let broken: Error | undefined;
  await runProgram({ name: "worker", purpose: `measuring ${task.peer}`, task }, (event: WorkerEvent) => {
    if (event.kind !== "broken") listen(event);
    else broken = event.peer ? new PeerError(event.message) : new BenchError(`bench: measuring ${task.peer} broke: ${event.message}`);
  }, signal);
  if (broken) throw broken;
}
