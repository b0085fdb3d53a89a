/** What a command may touch of the world outside; tests pass their own. */
export interface Io {
  /** Results: what a pipe should get. */
  readonly out: (text: string) => void;
  /** Everything else: progress, warnings, errors. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard error is a terminal that can redraw a progress bar. */
  readonly terminal: boolean;
  /** Aborted at the first interrupt, so that a run can save itself; the second one, a second or more later, ends the process. */
  readonly interrupted: AbortSignal;
}

/** One press of Ctrl-C arrives twice when npm passes it on too; within this time it counts once. */
const sameInterrupt = 1000; // ms

/**
 * The process's own streams, environment and signals.
 * @returns io whose `interrupted` fires on SIGINT and SIGTERM
 */
export function processIo(): Io {
  const controller = new AbortController();
  let first = 0;
  const interrupt = (signal: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      first = Date.now();
      controller.abort(new DOMException(`interrupted by ${signal}`, "AbortError"));
    } else if (Date.now() - first >= sameInterrupt) {
      process.exit(130);
    }
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    terminal: process.stderr.isTTY,
    interrupted: controller.signal,
  };
}
