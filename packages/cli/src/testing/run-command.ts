import { tmpdir } from "node:os";
import path from "node:path";
import type { Io } from "../io.js";
import { main } from "../main.js";

/** What a command printed, and its exit status. */
export interface CommandResult {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs the command in this process and keeps what it prints.
 * @param onError sees everything written to standard error, with the controller that interrupts the command
 */
export async function runCommand(argv: readonly string[], onError: (text: string, interrupt: AbortController) => void = () => undefined): Promise<CommandResult> {
  const printed = { out: "", err: "" };
  const interrupt = new AbortController();
  const io: Io = {
    out: (text) => (printed.out += text),
    err: (text) => {
      printed.err += text;
      onError(text, interrupt);
    },
    // No table of tuned kernels that this machine's user may have.
    env: { DISTILLDRIVE_CACHE: path.join(tmpdir(), "distilldrive-tests-have-no-cache") },
    terminal: false,
    interrupted: interrupt.signal,
  };
  return { status: await main(argv, io), ...printed };
}
