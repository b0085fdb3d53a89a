import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BenchError } from "./errors.js";

/** A program that runs in a process of its own. */
export interface Program<Task> {
  /** The file beside this one, without its ending. */
  readonly name: "worker" | "start-worker";
  /** What it does, for errors: "measuring tfjs". */
  readonly purpose: string;
  /** What it is told. */
  readonly task: Task;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program until it ends; its messages go to `listen`.
 * @throws BenchError when it ends with an error; the signal's reason when that stops it
 */
export function runProgram<Task extends object, Event>({ name, purpose, task, env }: Program<Task>, listen: (event: Event) => void, signal?: AbortSignal): Promise<void> {
  // TypeScript in the clone's tests, a file of its own in the built package.
  const source = import.meta.url.endsWith(".ts");
  const file = fileURLToPath(new URL(`./${name}.${source ? "ts" : "js"}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = fork(file, [], { execArgv: source ? ["--conditions=@distilldrive/source", "--import", "tsx"] : [], stdio: ["ignore", "ignore", "pipe", "ipc"], env: { ...process.env, ...env } });
    let errors = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      errors = `${errors}${chunk.toString()}`.slice(-2000);
    });
    const stop = (): void => {
      child.kill();
      reject(signal?.reason instanceof Error ? signal.reason : new BenchError("bench: stopped."));
    };
    signal?.addEventListener("abort", stop, { once: true });
    child.on("message", listen);
    child.on("error", reject);
    child.on("exit", (code, killed) => {
      signal?.removeEventListener("abort", stop);
      if (code === 0) resolve();
      else reject(new BenchError(`bench: the process for ${purpose} ended early (${killed ?? `status ${code ?? "unknown"}`}).\n${errors.trim()}`));
    });
    child.send(task);
  });
}
